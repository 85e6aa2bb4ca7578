"""What a person may have in place of an image file: a Pillow image, an array, a tensor."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.data.decode import decode_image
from eanet.errors import WrongArgumentError
from eanet.files import user_path
from eanet.model_files.config import ModelConfig

CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
EIGHT_BITS = ("bool", "uint8")
UNSAID = ("int8", "int32", "int64")  # what lists of numbers become, whether of 8 bits or more


def each_image(images: Any) -> Iterable[Any]:
    """Return one image, or several, or a batch of them, as one after the other.

    If integers of one of several go beyond 8 bits, those of the others are of more as well.

    Raises:
        EanetError: it may as well be one image as several grey ones.
    """
    if is_array(images) and len(images.shape) == 1 and getattr(images.dtype, "kind", "") in "OUT":
        return list(images)  # a column of paths
    is_one = isinstance(images, str | bytes | os.PathLike | Image.Image) or hasattr(images, "read")
    if is_one or (is_array(images) and len(images.shape) < 4):
        if isinstance(images, np.ndarray) and _is_ambiguous(images.shape):
            raise WrongArgumentError(
                f"an array {images.shape} is one image with its channels first, or several grey "
                "ones: give image.transpose(1, 2, 0), or list(images)"
            )
        return [images]
    if isinstance(images, list | tuple) or is_array(images):
        return _of_one_depth(images)
    return images if isinstance(images, Iterable) else [images]


def _of_one_depth(images: Iterable[Any]) -> Iterable[Any]:
    beyond = [is_beyond(image) if is_array(image) else None for image in images]
    if not any(beyond):
        return images
    return [
        image if is_own is None else to_image(image, is_deep=True)
        for image, is_own in zip(images, beyond, strict=True)
    ]


def _is_ambiguous(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] > 1 and shape[0] in CHANNELS and shape[2] not in CHANNELS


def decode_for(config: ModelConfig, image: Any) -> NDArray[np.uint8]:
    """Return what a model sees of a path, an open file, a Pillow image or an array: (S, S, 3).

    Raises:
        EanetError: it is nothing that stands for an image, or cannot be read.
    """
    levels = config.preprocessing.levels
    if isinstance(image, str | os.PathLike):
        image = user_path(os.fspath(image))
    elif is_array(image):
        image = to_image(image, is_deep=levels is not None and levels[1] > 255)
    elif not (isinstance(image, Image.Image) or hasattr(image, "read")):
        kind = type(image).__name__
        raise WrongArgumentError(
            f"an image is a path, an open file, a Pillow image or an array, not {kind}"
        )
    return decode_image(image, config.image_size, config.preprocessing)


def is_array(value: object) -> bool:
    """Return whether a value is an array or a tensor, of whichever library."""
    return hasattr(value, "__array__") and hasattr(value, "shape")


def as_array(value: Any) -> NDArray[Any]:
    """Return an array, a tensor or anything like them as a NumPy array."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    tensor = value.detach().cpu()
    # NumPy has no bfloat16.
    return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)


def to_image(value: Any, *, is_deep: bool = False) -> Image.Image:
    """Return an array or a tensor as an image.

    Args:
        value: (H, W), (H, W, C) or (C, H, W), with 1, 3 or 4 channels; where both fit, arrays have
            the channels last and tensors first. Integers from 0 to 255; floats from 0 to 255 or, if
            none is above 1, from 0 to 1. Grey images may have more levels.
        is_deep: whether it is one of several with more levels, if its type does not say that.

    Raises:
        EanetError: it has another shape, or other values.
    """
    array = as_array(value)
    if array.dtype.kind not in "buif":
        raise WrongArgumentError(f"an image has numbers, not {array.dtype}")
    if array.ndim == 3:
        array = _channels_last(array, is_tensor=hasattr(value, "detach"))
    if (array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in CHANNELS)) or not array.size:
        raise WrongArgumentError(
            f"an image is an array (H, W), (H, W, 3) or (3, H, W), not {np.shape(value)}; several "
            "are a list of them"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]  # (H, W)
    if array.dtype.name in UNSAID:
        is_deep = is_deep or _is_beyond(array)
    else:
        is_deep = array.dtype.name not in EIGHT_BITS
    return _deep(array) if array.ndim == 2 and is_deep else _shallow(array)


def is_unit(image: Any) -> bool | None:
    """Return whether an array of floats lies within 0 to 1; None: black, or no floats.

    Those that are not finite, such as NaN where a measurement is missing, tell nothing.
    """
    array = as_array(image)
    if array.dtype.kind != "f":
        return None
    high = array.max(where=np.isfinite(array), initial=0)
    return bool(high <= 1) if high else None


def is_beyond(image: Any) -> bool | None:
    """Return whether grey integers go beyond 8 bits; None: black, or their type tells."""
    array = as_array(image)
    if array.dtype.name not in UNSAID or array.squeeze().ndim > 2 or not array.any():
        return None
    return _is_beyond(array)


def _is_beyond(array: NDArray[Any]) -> bool:
    return bool(array.min() < 0 or array.max() > 255)


def _channels_last(array: NDArray[Any], *, is_tensor: bool) -> NDArray[Any]:
    first, last = (array.shape[axis] in CHANNELS for axis in (0, 2))
    if first and (is_tensor or not last):
        return array.transpose(1, 2, 0)  # (H, W, C)
    return array


def _deep(grey: NDArray[Any]) -> Image.Image:
    """Return a grey image with its own values, (H, W), which the set's levels bring to 8 bits."""
    if grey.dtype.kind in "ui" and grey.min() >= 0 and grey.max() < 1 << 16:
        return Image.fromarray(grey.astype(np.uint16))
    return Image.fromarray(grey.astype(np.float32))


def _shallow(array: NDArray[Any]) -> Image.Image:
    """Return an image of 8 bits of an array (H, W) or (H, W, C) with values that fit them."""
    if array.dtype == bool:
        array = array * np.uint8(255)
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # NaN is neither
        raise WrongArgumentError(
            f"the values of a colour image go from {low:.4g} to {high:.4g}: give them as they are "
            "in the file, 0 to 255 or 0 to 1; the model normalises by itself"
        )
    if array.dtype.kind == "f" and high <= 1:
        array = array * 255
    return Image.fromarray(np.ascontiguousarray(np.rint(array), dtype=np.uint8))
