"""Decode image files of any kind to square 8-bit RGB, the same for training and prediction."""

from __future__ import annotations

from math import log2
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from eanet.data.formats import missing_plugin, open_image, unread_tiff
from eanet.data.levels import Depth, eight_bits, is_deep, measure_depth
from eanet.data.turns import PIXELS
from eanet.errors import EanetError, one_line
from eanet.model_files.preprocessing import DEFAULT, Preprocessing

LARGE = 89_000_000  # pixels from which Pillow warns
REDUCED = 8  # times the side of the result: to at least that, a larger JPEG is reduced
_TURNS = {  # what makes an image of this EXIF orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(EanetError):
    """An image cannot be decoded; ``reason`` says why, without the file name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)  # with which it is pickled
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"cannot read image {self.name}: {self.reason}"


class Original(NamedTuple):
    """Properties of an image before it was decoded.

    Sizes are in pixels as stored; ``format`` and ``mode`` are Pillow's; ``blank`` means that all
    decoded pixels have one colour, ``clear`` that every pixel is fully transparent; ``depth`` has
    the values of a deep grey image.
    """

    width: int
    height: int
    format: str
    mode: str
    animated: bool
    blank: bool
    clear: bool = False
    depth: Depth | None = None


def decode_image(
    file_or_image: Path | BinaryIO | Image.Image,
    size: int | None,
    preprocessing: Preprocessing = DEFAULT,
) -> NDArray[np.uint8]:
    """Decode as `read_image`, but return only the pixels."""
    return read_image(file_or_image, size, preprocessing)[0]


def read_image(
    file_or_image: Path | BinaryIO | Image.Image,
    size: int | None,
    preprocessing: Preprocessing = DEFAULT,
) -> tuple[NDArray[np.uint8], Original]:
    """Decode to square RGB, (size, size, 3).

    A JPEG is decoded in full, as by other programs. At a half to an eighth of its size, as its
    format allows, it takes half the time, but grey levels differ by up to 7 and probabilities by up
    to 0.11, even if that is still 5 times the size of the result. That is done only beyond 89
    million pixels.

    The EXIF orientation is applied, transparency is composited on white unless nothing would be
    left, deep images are scaled to 8 bits, and only the first frame of an animation is read.
    Resampling is bilinear, antialiased.

    Args:
        file_or_image: a file, an open file, or a Pillow image, which stays as it is.
        size: height and width of the result in pixels; None: those of the upright image.
        preprocessing: of the model that the pixels are for.

    Raises:
        UnreadableImageError: not an image, damaged, or more pixels than Pillow reads (179 million).
    """
    if isinstance(file_or_image, Image.Image):
        name = getattr(file_or_image, "filename", "") or "in memory"
    elif isinstance(file_or_image, Path):
        name = str(file_or_image)
    else:
        name = str(getattr(file_or_image, "name", "stream"))
    try:
        if isinstance(file_or_image, Image.Image):
            return _decode(file_or_image, size, preprocessing, file_or_image.size)
        with open_image(file_or_image) as image:
            original = image.size
            if size is not None and image.width * image.height > LARGE:
                image.draft(None, (REDUCED * size,) * 2)  # does nothing unless it is a JPEG
            with PIXELS.taken(image.width * image.height):
                return _decode(image, size, preprocessing, original)
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(name, "more pixels than Pillow reads") from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(name, _why_no_image(file_or_image)) from error
    except IsADirectoryError as error:
        raise UnreadableImageError(name, "a folder; give the files in it") from error
    except OSError as error:
        raise UnreadableImageError(name, error.strerror or f"damaged: {one_line(error)}") from error
    except MemoryError as error:
        raise UnreadableImageError(name, "not enough memory") from error
    except Exception as error:  # damaged bytes make Pillow's readers raise nearly anything
        raise UnreadableImageError(name, f"damaged: {one_line(error)}") from error


def _why_no_image(file: object) -> str:
    if not isinstance(file, Path):
        return "not an image"
    if not file.stat().st_size:
        return "empty file"
    return missing_plugin(file) or unread_tiff(file) or "not an image"


def _decode(
    image: Image.Image, size: int | None, preprocessing: Preprocessing, original: tuple[int, int]
) -> tuple[NDArray[np.uint8], Original]:
    width, height, kind, mode = *original, image.format or "", image.mode
    if kind == "MPO":  # JPEG with a second picture, as phones write it
        kind = "JPEG"
    turned, depth = upright(_without_excess(image, original)), None
    if is_deep(turned):
        values = np.asarray(turned)
        depth = measure_depth(values)
        turned = Image.fromarray(eight_bits(values, depth, preprocessing.levels))
    rgb, clear = _rgb(turned)
    pixels = np.array(_square(rgb, size, preprocessing))
    blank = bool((pixels == pixels[0, 0]).all())
    return pixels, Original(width, height, kind, mode, _is_animated(image), blank, clear, depth)


def _without_excess(image: Image.Image, original: tuple[int, int]) -> Image.Image:
    """Cut off by how much the last pixels of a reduced JPEG reach beyond its sides."""
    reduction = 2 ** round(log2(max(original) / max(image.size)))
    if reduction == 1:
        return image
    width, height = (side / reduction for side in original)
    size = (round(width), round(height))
    return image.resize(size, Image.Resampling.BILINEAR, (0, 0, width, height))


def _is_animated(image: Image.Image) -> bool:
    """Return whether there are frames after the first, which has been read."""
    try:
        # Phones store a photograph and its depth or brightness map as an MPO of two "frames".
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # there is a second frame, but it is damaged
        return True


def _square(image: Image.Image, size: int | None, preprocessing: Preprocessing) -> Image.Image:
    if size is None:
        return image
    (width, height), fit = image.size, preprocessing.fit
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return _resized(image, (size, size), (left, top, left + side, top + side))
    if fit == "squash":
        return _resized(image, (size, size), (0, 0, width, height))
    inner = [max(1, round(side * size / max(width, height))) for side in (width, height)]
    square = Image.new("RGB", (size, size), preprocessing.fill)
    resized = _resized(image, (inner[0], inner[1]), (0, 0, width, height))
    square.paste(resized, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return square


def _resized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Image.Image:
    """Resize a box of an image: the width, then the height.

    Pillow rounds after each, and version 13 begins with the height if there is less work to do
    then. What a model sees should not depend on that.
    """
    left, top, right, bottom = box
    bilinear = Image.Resampling.BILINEAR
    narrow = image.resize((size[0], image.height), bilinear, (left, 0, right, image.height))
    return narrow.resize(size, bilinear, (0, top, size[0], bottom))


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, but do not write it anew as Pillow's `exif_transpose` does.

    Other EXIF entries may be malformed, which that would stumble over.
    """
    image.load()  # a TIFF turns itself, and is upright from then on
    turn = _TURNS.get(_orientation(image) or 1)
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation of an image; None if nothing that can be read says one."""
    try:
        said = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # malformed EXIF makes Pillow raise nearly anything
        return None
    return said if isinstance(said, int) else None


def _rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """Convert to RGB over white; also return whether every pixel is fully transparent.

    Then, in a channel of its own, it means nothing: programs leave the fourth channel of TGA and
    BMP files at zero. The colours below are taken.
    """
    if not image.has_transparency_data:
        return image.convert("RGB"), False
    has_channel, image = image.mode != "P", image.convert("RGBA")
    if has_channel and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB"), True
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB"), False
