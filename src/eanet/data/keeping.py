"""Data in memory, written once as files that a list names, which later commands read as well."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import MofNCompleteColumn

from eanet.console import notice, progress_bar
from eanet.data.arrays import is_array, is_beyond, is_unit, to_image
from eanet.data.decode import upright
from eanet.data.in_memory import Row, Rows, read_memory
from eanet.data.levels import is_deep
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import user_path

AS_PNG = {"1", "L", "LA", "P", "RGB", "RGBA"}  # modes
KEPT = "data"  # folder beside the runs
SCALES = {  # what one image of a set tells of all, and what else is to be said
    is_unit: "floats, up to 1 in one and beyond in the other: give all as integers from 0 to 255",
    is_beyond: "integers, up to 255 in one and beyond in the other: give all as uint8 or uint16",
}


def locate(data: Any, folder: Path) -> str:
    """Return what `open_source` takes for data; those in memory are written into ``folder`` first.

    Equal data are written once: their folder is named after a hash of them.

    Args:
        data: a name or a path, or what `read_memory` takes.
        folder: where to write.

    Raises:
        EanetError: it is something else, or cannot be written.
    """
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    splits = read_memory(data)
    name = next((rows.name for rows in splits.values() if rows.name), "images")
    with ExitStack() as stack:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            new = TemporaryDirectory(prefix=".partial-", dir=folder, ignore_cleanup_errors=True)
        copy = _Copy(Path(stack.enter_context(new)))
        copy.write(splits, name)
        place = folder / f"{name}-{copy.digest.hexdigest()[:8]}"
        with _writing(folder):
            copy.folder.chmod(0o755)  # temporary folders are closed to others
            try:
                copy.folder.rename(place)
            except OSError:
                if not place.is_dir():  # where the same data have been before
                    raise
    notice(f"the data in memory, {copy.count:,} images, are kept for later commands: {place}")
    return str(place / f"{name}.csv")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Name the folder in errors of the disk; those of a data set being read are its own."""
    try:
        yield
    except OSError as error:
        raise EanetError(f"cannot write the images to {folder}: {error.strerror}") from error


class _Copy:
    """A folder with a list of images, and the files of those that had none."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.digest = hashlib.sha256()
        self._scales: dict[Any, dict[bool, int]] = {tells: {} for tells in SCALES}  # first such

    def write(self, splits: Mapping[str, Rows], name: str) -> None:
        """Write the images and then the list."""
        table: list[dict[str, str]] = []
        total = sum(rows.number for rows in splits.values())
        with progress_bar(MofNCompleteColumn()) as bar:
            task = bar.add_task("writing the images", total=total)
            for split, rows in splits.items():
                for row in rows.rows:
                    table.append(self._write_row(split, row))
                    bar.advance(task)
        columns = list(dict.fromkeys(column for line in table for column in line))
        path = self.folder / f"{name}.csv"
        with (
            _writing(self.folder.parent),
            path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)

    def _write_row(self, split: str, row: Row) -> dict[str, str]:
        line = {"path": self._path(row.image), "label": row.label, "split": split, **row.others}
        self.digest.update(repr(line).encode("utf-8", "surrogateescape"))
        self.count += 1
        return line

    def _path(self, image: Any) -> str:
        """Return the path of an image, relative if its file is ours."""
        if isinstance(image, Mapping):  # of the datasets library: a file, or where it is
            if image.get("bytes") is None:
                return self._path(image.get("path"))
            return self._write_file(image["bytes"], _suffix(image["bytes"]))
        if isinstance(image, str | os.PathLike):
            return str(user_path(os.fspath(image)).absolute())
        if is_array(image):
            self._check_scale(image)
            image = to_image(image)
        if not isinstance(image, Image.Image):
            kind = type(image).__name__
            raise WrongArgumentError(f"an image is a path, a Pillow image or an array, not {kind}")
        return self._write_image(image)

    def _check_scale(self, image: Any) -> None:
        """Raise if one image has another scale than one before: which of them is white?"""
        for tells, remedy in SCALES.items():
            if (scale := tells(image)) is None:
                continue
            first = self._scales[tells]
            first.setdefault(scale, self.count)
            if len(first) == 2:
                raise EanetError(f"images {min(first.values())} and {self.count} are of {remedy}")

    def _write_image(self, image: Image.Image) -> str:
        content, image = io.BytesIO(), upright(image)
        if is_deep(image):
            # A copy of the values alone: nothing that the image says of itself turns it again.
            Image.fromarray(np.asarray(image)).save(content, "TIFF")
            return self._write_file(content.getvalue(), ".tif")
        if image.mode not in AS_PNG:
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        # Not compressed: fast, and the same bytes with any version of the compressor.
        image.save(content, "PNG", compress_level=0, exif=Image.Exif())
        return self._write_file(content.getvalue(), ".png")

    def _write_file(self, content: bytes, suffix: str) -> str:
        self.digest.update(content)
        path = Path("images") / f"{self.count:06}{suffix}"
        with _writing(self.folder.parent):
            (self.folder / path.parent).mkdir(exist_ok=True)
            (self.folder / path).write_bytes(content)
        return str(path)


def _suffix(content: bytes) -> str:
    """Return the extension of an image file, by its content."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return f".{(image.format or 'img').lower()}"
    except Exception:  # damaged: it is skipped with its reason when it is read
        return ".img"
