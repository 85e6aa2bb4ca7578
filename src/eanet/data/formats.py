"""The image formats that are read, and no others, whatever a file is called.

Pillow reads many more: fonts, films, measurements, and PostScript, which it hands to Ghostscript. A
stranger's file chooses among them by its first bytes, not by its name.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO, cast

import PIL
from PIL import Image

# Pillow's names, and the extensions by which images are found in folders.
FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heif"),  # iPhone photographs; needs pillow-heif
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg"),
    "JPEG2000": (".jp2",),
    "PNG": (".png",),
    "PPM": (".pbm", ".pgm", ".pnm", ".ppm"),
    "QOI": (".qoi",),
    "TGA": (".tga",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

MOST_SCANS = 100  # of a JPEG; there are seldom more than ten
SCAN, END = 0xDA, 0xD9  # markers
# Before a segment, with its length; without the zeros that data are stuffed with, and restarts.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])(..)", re.DOTALL)


@cache
def readable_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this installation of Pillow reads."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def decoders() -> tuple[object, ...]:
    """Return what else than a file decides on its pixels: programs that decode, by version."""
    heif = getattr(sys.modules.get("pillow_heif"), "__version__", "")
    return PIL.__version__, heif, readable_formats()


@cache
def image_extensions() -> frozenset[str]:
    """Return the extensions of image files, in lower case, such as ``.jpg``."""
    return frozenset(e for name in readable_formats() for e in FORMATS[name])


def missing_plugin(file: Path) -> str | None:
    """Return how to read an iPhone photograph, by its name or first bytes, if that needs a plugin.

    Programs that rename such a file to ``.jpg`` leave its bytes as they are.
    """
    if "HEIF" in readable_formats():
        return None
    is_heif = file.suffix.lower() in FORMATS["HEIF"]
    if not is_heif:
        with suppress(OSError), file.open("rb") as content:
            start = content.read(12)
            is_heif = start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS
    return "HEIC needs: pip install pillow-heif" if is_heif else None


def unread_tiff(file: Path) -> str | None:
    """Return what may be the matter with a TIFF that Pillow knows nothing of; None: it is none."""
    with suppress(OSError), file.open("rb") as content:
        if content.read(4) in _TIFF:
            return "a TIFF that Pillow cannot read: damaged, or of 64-bit floats or coloured ones"
    return None


def open_image(file: Path | BinaryIO) -> Image.Image:
    """Open an image as `PIL.Image.open` does, if it is of one of the formats that are read.

    Raises:
        ValueError: it is a JPEG of so many scans that they are meant to take time: each passes over
            all pixels, and takes next to no bytes.
    """
    image = Image.open(file, formats=readable_formats())
    if image.format in ("JPEG", "MPO"):
        scans = (kind for kind in _markers(cast(IO[bytes], image.fp)) if kind == SCAN)
        if next(islice(scans, MOST_SCANS, None), None):
            image.close()
            raise ValueError(f"a JPEG of more than {MOST_SCANS} scans")
    return image


def _markers(file: IO[bytes]) -> Iterator[int]:
    """Yield what the segments of an open JPEG are, up to the end of the picture.

    The same bytes mean nothing inside a segment, such as a preview, or after the end, where phones
    append a film.
    """
    file.seek(0)
    data, place = b"", 0
    while True:
        if found := _MARKER.search(data, place):
            kind, length = found[1][0], int.from_bytes(found[2], "big")
            if kind == END:
                return
            yield kind
            place = found.start(2) + length
            continue
        kept = data[max(place, len(data) - 3) :]  # the beginning of a segment, perhaps
        file.seek(max(0, place - len(data)), os.SEEK_CUR)
        if not (more := file.read(1 << 20)):
            return
        data, place = kept + more, 0
