"""Reads the two networks of the Keras example from files of Keras 3, without Keras.

Such a file holds ``layers/<class>[_<k>]/.../vars/<i>``, where k counts the layers of a class in
the order of the model. The architecture follows from the names and the shapes of the weights. The
size of the images does not: weights alone only tell how many patches an image has. A ``.keras``
archive also holds ``config.json``, which tells it.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eanet.console import notice
from eanet.errors import EanetError
from eanet.models.classifier import Classifier
from eanet.models.registry import create_model

MOST_GROWTH = 10  # of an archive: weights hardly compress
MOST_OBJECTS, MOST_DEPTH = 20_000, 20  # groups and variables of a file

Array = NDArray[np.float32]
Variables = list[Array]
"""A layer's variables in Keras' order: kernel and bias, or scale and offset."""


def import_keras(
    path: Path | str, classes: Sequence[str] | None = None, image_size: int | None = None
) -> Classifier:
    """Load a classifier saved by Keras, in evaluation mode: raw pixels in, the same logits out.

    Args:
        path: ``FILE.weights.h5`` or ``FILE.keras``, saved by Keras 3 from either network of its
            example "Image classification with EANet", of any size.
        classes: names of the classes, which Keras does not save; numbered unless given.
        image_size: side of the square images that the network was built for, in pixels. By
            default what ``FILE.keras`` says; ``FILE.weights.h5`` does not, and the smallest size
            with as many patches is assumed, with a notice.

    Raises:
        EanetError: h5py is not installed, the file cannot be read or holds another network, or
            the number of names or the image size is wrong.

    Examples:
        >>> model = eanet.import_keras("eanet.weights.h5")  # doctest: +SKIP
        >>> eanet.save_model(model, "runs/from-keras")  # doctest: +SKIP
    """
    path = Path(path)
    layers, built_for = _read(path)
    try:
        model = _build(layers, classes, _known_size(path, built_for, image_size))
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        StopIteration,
        TypeError,
        ValueError,
    ) as error:
        raise EanetError(
            f"{path} does not hold a network of the Keras example (normalisation, patch embedding, "
            "blocks of external attention or self-attention, one dense layer)"
        ) from error
    size, patch, grid = model.config.image_size, model.embedding.patch_size, model.embedding.grid
    if image_size is None and built_for is None and patch > 1:
        notice(
            f"{path} does not say the image size: assuming {size} pixels, the least that "
            f"{grid} x {grid} patches of {patch} need; --image-size (image_size in Python) sets "
            f"another, up to {size + patch - 1}"
        )
    return model.eval()


def _read(path: Path) -> tuple[dict[str, Variables], tuple[int, int] | None]:
    """Return the variables of each layer by its path in the file, as ``patch_embedding/proj``.

    Second, the height and width of the images, if the file says.
    """
    try:
        import h5py
    except ImportError as error:
        raise EanetError("reading Keras files needs h5py: pip install h5py") from error
    if not path.is_file():
        raise EanetError(f"no such file: {path}")
    config: Any = {}
    try:
        source: Path | io.BytesIO = path
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(_member(archive, "model.weights.h5", path))
                config = json.loads(_member(archive, "config.json", path))
        with h5py.File(source, "r") as file:
            layers = _variables(file)
    except (
        *(OSError, LookupError, ValueError, TypeError, RuntimeError, RecursionError),
        *(AttributeError, NotImplementedError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise EanetError(
            f"{path} is not a readable file of Keras 3; write one with "
            'model.save_weights("FILE.weights.h5") or model.save("FILE.keras")'
        ) from error
    ordered = {name: [layer[i] for i in sorted(layer)] for name, layer in layers.items()}
    return ordered, _input_size(config)


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """Return a member of an archive, unless weights could not be compressed to so little."""
    if archive.getinfo(name).file_size > max(1 << 24, MOST_GROWTH * path.stat().st_size):
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def _variables(file: Any) -> dict[str, dict[int, Array]]:
    """Return the variables of each layer by its path and their number.

    What Keras does not write is refused: links to other files, filters, and shapes for which the
    file holds no values, all of which could take any memory or time.
    """
    import h5py

    layers: dict[str, dict[int, Array]] = {}
    objects = 0
    pending = [("", file, 0)]
    while pending:
        path, group, depth = pending.pop()
        for name in group:
            objects += 1
            if objects > MOST_OBJECTS or depth > MOST_DEPTH:
                raise ValueError("too many groups")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} is a link")
            item, place = group[name], f"{path}{name}"
            if isinstance(item, h5py.Group):
                pending.append((f"{place}/", item, depth + 1))
                continue
            layer, _, index = place.rpartition("/vars/")
            if layer.startswith("layers/") and not layer.endswith("seed_generator"):
                is_whole = item.external is None and item.id.get_storage_size() == item.nbytes
                if item.dtype.kind not in "fiu" or not is_whole:
                    raise ValueError(f"{place} holds no plain numbers")
                variable = np.asarray(item, dtype=np.float32)
                layers.setdefault(layer.removeprefix("layers/"), {})[int(index)] = variable
    return layers


def _input_size(config: Any) -> tuple[int, int] | None:
    """Return the height and width that a model's configuration declares for its input, if any."""
    try:
        inputs = (x for x in config["config"]["layers"] if x["class_name"] == "InputLayer")
        _, height, width, _ = next(inputs)["config"]["batch_shape"]
    except (KeyError, TypeError, ValueError, StopIteration):
        return None
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _known_size(path: Path, built_for: tuple[int, int] | None, asked: int | None) -> int | None:
    """Return the side of the images, from the file or as asked for; None if neither says."""
    if built_for is None:
        return asked
    height, width = built_for
    if height != width:
        raise EanetError(f"{path} takes {height} x {width} pixels; models here take square images")
    if asked not in (None, height):
        raise EanetError(f"{path} takes {height} x {width} pixels: leave out image_size={asked}")
    return height


def _build(
    layers: dict[str, Variables], classes: Sequence[str] | None, image_size: int | None
) -> Classifier:
    """Build the model with the sizes and weights of the layers."""
    normalization = next(name for name in layers if name.split("/")[-1] == "normalization")
    mean, variance, *_ = layers.pop(normalization)
    depth = sum(name.startswith("layer_normalization") for name in layers) // 2
    external = not any(name.startswith("multi_head_attention") for name in layers)
    # Names tell the classes of layers and their order in each class.
    dense, norms = _in_order("dense"), _in_order("layer_normalization")
    heads = _in_order("multi_head_attention")
    modules = {"embedding.projection": layers["patch_embedding/proj"]}
    for block in (f"blocks.{i}" for i in range(depth)):
        modules[f"{block}.attention_norm"] = layers[next(norms)]
        if external:
            for part in ("query", "key_memory", "value_memory", "output"):
                modules[f"{block}.attention.{part}"] = layers[next(dense)]
        else:
            qkv, output = _self_attention(layers, next(heads))
            modules |= {f"{block}.attention.qkv": qkv, f"{block}.attention.output": output}
        modules[f"{block}.mlp_norm"] = layers[next(norms)]
        for part in ("fc1", "fc2"):
            modules[f"{block}.mlp.{part}"] = layers[next(dense)]
    modules["head"] = layers[next(dense)]

    weights = {
        "normalization.mean": mean,
        "normalization.std": np.maximum(np.sqrt(variance), 1e-7),  # as Keras' layer does
        "embedding.position": layers["patch_embedding/pos_embed"][0],
    }
    for name, (kernel, bias) in modules.items():
        weights |= {f"{name}.weight": kernel.T, f"{name}.bias": bias}

    patch_size = math.isqrt(len(modules["embedding.projection"][0]) // mean.size)
    build = partial(
        create_model,
        "keras_eanet" if external else "keras_vit",
        num_classes=len(weights["head.bias"]),
        classes=classes,
        image_size=_fitting(image_size, patch_size, len(weights["embedding.position"])),
        in_channels=mean.size,
        patch_size=patch_size,
        num_transformer_blocks=depth,
        **_widths(layers, weights, external=external),
    )
    with torch.device("meta"):  # its size, before memory is taken
        size = build().num_parameters
    if size != sum(v.size for layer in layers.values() for v in layer):
        raise ValueError("the file holds more than the network has")
    model = build()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model


def _fitting(image_size: int | None, patch_size: int, patches: int) -> int:
    """Return the side of images with so many patches: ``image_size`` if that fits.

    Raises:
        EanetError: it does not.
        ValueError: the patches do not form a square.
    """
    grid = math.isqrt(patches)
    if grid**2 != patches:
        raise ValueError(f"{patches} patches do not form a square")
    least = grid * patch_size
    if image_size is None:
        return least
    if image_size // patch_size != grid:
        raise EanetError(
            f"image_size={image_size} does not fit: {grid} x {grid} patches of {patch_size} pixels "
            f"are cut from images of {least} to {least + patch_size - 1} pixels"
        )
    return image_size


def _in_order(layer_class: str) -> Iterator[str]:
    """Yield the names of a class's layers: ``dense``, ``dense_1``, ``dense_2``, ..."""
    yield layer_class
    for k in itertools.count(1):
        yield f"{layer_class}_{k}"


def _self_attention(layers: dict[str, Variables], name: str) -> tuple[Variables, Variables]:
    """Join the kernels (d, h, k) of query, key and value; flatten that of the output (h, k, d)."""
    qkv = [layers[f"{name}/{part}_dense"] for part in ("query", "key", "value")]
    kernels = [kernel.reshape(len(kernel), -1) for kernel, _ in qkv]  # 3 x (d, h*k)
    kernel, bias = layers[f"{name}/output_dense"]
    return (
        [np.concatenate(kernels, axis=1), np.concatenate([b.ravel() for _, b in qkv])],
        [kernel.reshape(-1, kernel.shape[-1]), bias],  # (h, k, d) -> (h*k, d)
    )


def _widths(
    layers: dict[str, Variables], weights: dict[str, Array], *, external: bool
) -> dict[str, Any]:
    """Return the settings of the named model for its widths, without what follows from others."""
    dim = len(weights["head.weight"].T)
    widths = {"embedding_dim": dim, "mlp_dim": len(weights["blocks.0.mlp.fc1.bias"])}
    if external:
        inner = len(weights["blocks.0.attention.query.bias"])
        slots, head_dim = weights["blocks.0.attention.key_memory.weight"].shape
        coefficient = inner // dim
        widths |= {"num_heads": inner // head_dim // coefficient, "dim_coefficient": coefficient}
        return widths if slots == dim // coefficient else widths | {"slots": slots}
    heads, key_dim = layers["multi_head_attention/query_dense"][1].shape
    widths |= {"num_heads": heads}
    return widths if key_dim == dim else widths | {"key_dim": key_dim}
