"""From an image file of any kind to square RGB bytes: one way, for training and for prediction."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from eanet.errors import EanetError


class UnreadableImageError(EanetError):
    """An image that cannot be decoded; ``reason`` says why, without the name of the file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot read image {name}: {reason}")
        self.reason = reason


class Original(NamedTuple):
    """What an image was before it was decoded.

    Sizes are in pixels as stored, ``format`` and ``mode`` are Pillow's; ``blank`` is an image of
    one colour.
    """

    width: int
    height: int
    format: str
    mode: str
    animated: bool
    blank: bool


def decode_image(file_or_image: Path | BinaryIO | Image.Image, size: int) -> NDArray[np.uint8]:
    """As `read_image`, the pixels alone."""
    return read_image(file_or_image, size)[0]


def read_image(
    file_or_image: Path | BinaryIO | Image.Image, size: int
) -> tuple[NDArray[np.uint8], Original]:
    """Decode an image to RGB, (size, size, 3): shorter side to ``size``, then the centre.

    The EXIF orientation is applied, transparency is laid over white, deep images are scaled to
    8 bits, and an animation is read by its first frame. Resampling is bilinear and antialiased.

    Raises:
        UnreadableImageError: not an image, damaged, or larger than Pillow's limit on pixels.
    """
    if isinstance(file_or_image, Image.Image):
        name = getattr(file_or_image, "filename", "") or "in memory"
    elif isinstance(file_or_image, Path):
        name = str(file_or_image)
    else:
        name = str(getattr(file_or_image, "name", "stream"))
    try:
        if isinstance(file_or_image, Image.Image):
            return _decode(file_or_image, size)
        with Image.open(file_or_image) as image:
            pixels = image.width * image.height
            if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
                raise UnreadableImageError(name, f"{pixels:,} pixels are too many")
            return _decode(image, size, is_ours=True)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        is_empty = isinstance(file_or_image, Path) and not file_or_image.stat().st_size
        raise UnreadableImageError(name, "empty file" if is_empty else "not an image") from error
    except OSError as error:
        raise UnreadableImageError(name, error.strerror or _line(error)) from error
    except Exception as error:  # damaged bytes make Pillow's readers raise nearly anything
        raise UnreadableImageError(name, f"damaged: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _decode(
    image: Image.Image, size: int, *, is_ours: bool = False
) -> tuple[NDArray[np.uint8], Original]:
    width, height, kind, mode = *image.size, image.format or "", image.mode
    if kind == "MPO":  # JPEG with a second picture, as phones write it
        kind = "JPEG"
    if is_ours:
        image.draft(None, (2 * size, 2 * size))  # lets a large JPEG be decoded at 1/2 .. 1/8
    pixels = _square(image, size)
    blank = bool((pixels == pixels[0, 0]).all())
    return pixels, Original(width, height, kind, mode, _is_animated(image), blank)


def _is_animated(image: Image.Image) -> bool:
    """Whether there are more frames than the first, which has been read."""
    try:
        # Phones store a photograph and its depth or brightness map as an MPO of two "frames".
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # looking for the second frame found it damaged
        return True


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    image = _rgb(ImageOps.exif_transpose(image))
    return np.array(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bits(grey: NDArray[np.integer | np.floating]) -> NDArray[np.uint8]:
    """Scale deep grey to 0..255, where Pillow's own conversion clips.

    Whole numbers count as 16-bit; fractions as 0..1 or 0..255. What lies outside is scaled by its
    own range.
    """
    tops = (1.0, 255.0) if grey.dtype.kind == "f" else (65535.0,)
    levels = np.where(np.isfinite(grey), grey, 0).astype(np.float64)
    low, high = levels.min(), levels.max()
    top = next((top for top in tops if low >= 0 and high <= top), None)
    unit = levels / top if top else (levels - low) / (high - low)
    return np.rint(unit * 255).astype(np.uint8)
