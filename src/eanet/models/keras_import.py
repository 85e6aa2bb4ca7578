"""Reads the two networks of the Keras example from files of Keras 3, without Keras.

Such a file holds ``layers/<class>[_<k>]/.../vars/<i>``, where k counts the layers of a class in
the order of the model. The architecture follows from the names and the shapes of the weights.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eanet.errors import EanetError
from eanet.models.classifier import Classifier
from eanet.models.registry import create_model

Array = NDArray[np.float32]
Variables = list[Array]
"""A layer's variables in Keras' order: kernel and bias, or scale and offset."""


def import_keras(path: Path | str, classes: Sequence[str] | None = None) -> Classifier:
    """Load a classifier saved by Keras, in evaluation mode: raw pixels in, the same logits out.

    Args:
        path: ``FILE.weights.h5`` or ``FILE.keras``, saved by Keras 3 from either network of its
            example "Image classification with EANet", of any size.
        classes: names of the classes, which Keras does not save; numbered unless given.

    Raises:
        EanetError: h5py is not installed, the file cannot be read or holds another network, or
            the number of names is wrong.
    """
    layers = _read_layers(Path(path))
    try:
        model = _build(layers, classes)
    except (KeyError, ValueError, TypeError, RuntimeError, StopIteration) as error:
        raise EanetError(
            f"{path} does not hold a network of the Keras example (normalisation, patch embedding, "
            "blocks of external attention or self-attention, one dense layer)"
        ) from error
    return model.eval()


def _read_layers(path: Path) -> dict[str, Variables]:
    """Return the variables of each layer by its path in the file, as ``patch_embedding/proj``."""
    try:
        import h5py
    except ImportError as error:
        raise EanetError("reading Keras files needs h5py: pip install h5py") from error
    if not path.is_file():
        raise EanetError(f"no such file: {path}")
    layers: dict[str, dict[int, Array]] = {}

    def collect(name: str, item: Any) -> None:
        layer, _, index = name.rpartition("/vars/")
        if layer.startswith("layers/") and not layer.endswith("seed_generator"):
            variable = np.asarray(item, dtype=np.float32)
            layers.setdefault(layer.removeprefix("layers/"), {})[int(index)] = variable

    try:
        source: Path | io.BytesIO = path
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(source, "r") as file:
            file.visititems(collect)
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise EanetError(
            f"{path} is not a readable file of Keras 3; write one with "
            'model.save_weights("FILE.weights.h5") or model.save("FILE.keras")'
        ) from error
    return {layer: [variables[i] for i in sorted(variables)] for layer, variables in layers.items()}


def _build(layers: dict[str, Variables], classes: Sequence[str] | None) -> Classifier:
    """Build the model with the sizes and weights of the layers."""
    normalization = next(name for name in layers if name.split("/")[-1] == "normalization")
    mean, variance, *_ = layers.pop(normalization)
    depth = sum(name.startswith("layer_normalization") for name in layers) // 2
    external = not any(name.startswith("multi_head_attention") for name in layers)
    modules = {"embedding.projection": layers["patch_embedding/proj"]}
    for i in range(depth):
        if external:
            dense = [layers[_nth("dense", 6 * i + j)] for j in range(6)]
            parts = ("query", "key_memory", "value_memory", "output")
            attention = dict(zip(parts, dense, strict=False))
        else:
            dense = [layers[_nth("dense", 2 * i + j)] for j in range(2)]
            attention = _self_attention(layers, _nth("multi_head_attention", i))
        modules |= {f"blocks.{i}.attention.{part}": layer for part, layer in attention.items()}
        modules[f"blocks.{i}.attention_norm"] = layers[_nth("layer_normalization", 2 * i)]
        modules[f"blocks.{i}.mlp_norm"] = layers[_nth("layer_normalization", 2 * i + 1)]
        modules[f"blocks.{i}.mlp.fc1"], modules[f"blocks.{i}.mlp.fc2"] = dense[-2:]
    modules["head"] = layers[_nth("dense", (6 if external else 2) * depth)]

    weights = {
        "normalization.mean": mean,
        "normalization.std": np.maximum(np.sqrt(variance), 1e-7),  # as Keras' layer does
        "embedding.position": layers["patch_embedding/pos_embed"][0],
    }
    for name, (kernel, bias) in modules.items():
        weights |= {f"{name}.weight": kernel.T, f"{name}.bias": bias}

    patch_size = math.isqrt(len(modules["embedding.projection"][0]) // mean.size)
    model = create_model(
        "keras_eanet" if external else "keras_vit",
        num_classes=len(weights["head.bias"]),
        classes=classes,
        image_size=patch_size * math.isqrt(len(weights["embedding.position"])),
        in_channels=mean.size,
        patch_size=patch_size,
        depth=depth,
        **_widths(layers, weights, external=external),
    )
    if model.num_parameters != sum(v.size for layer in layers.values() for v in layer):
        raise ValueError("the file holds more than the network has")
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model


def _nth(layer_class: str, k: int) -> str:
    return f"{layer_class}_{k}" if k else layer_class


def _self_attention(layers: dict[str, Variables], name: str) -> dict[str, Variables]:
    """Join the kernels (d, h, k) of query, key and value; flatten that of the output (h, k, d)."""
    qkv = [layers[f"{name}/{part}_dense"] for part in ("query", "key", "value")]
    kernels = [kernel.reshape(len(kernel), -1) for kernel, _ in qkv]  # 3 x (d, h*k)
    kernel, bias = layers[f"{name}/output_dense"]
    return {
        "qkv": [np.concatenate(kernels, axis=1), np.concatenate([b.ravel() for _, b in qkv])],
        "output": [kernel.reshape(-1, kernel.shape[-1]), bias],
    }


def _widths(
    layers: dict[str, Variables], weights: dict[str, Array], *, external: bool
) -> dict[str, Any]:
    """Return the settings of the named model for its widths."""
    dim = len(weights["head.weight"].T)
    widths = {"dim": dim, "mlp_dim": len(weights["blocks.0.mlp.fc1.bias"])}
    if external:
        inner = len(weights["blocks.0.attention.query.bias"])
        slots, head_dim = weights["blocks.0.attention.key_memory.weight"].shape
        return widths | {"heads": inner // head_dim, "slots": slots, "coefficient": inner // dim}
    heads, head_dim = layers["multi_head_attention/query_dense"][1].shape
    return widths | {"heads": heads, "head_dim": head_dim}
