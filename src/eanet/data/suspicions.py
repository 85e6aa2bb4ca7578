"""What looks as if folders were read as something that they are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eanet.config import LayoutName
from eanet.data.file_names import likely_names
from eanet.data.findings import Finding
from eanet.data.layout import Listing, list_files, visible_folders
from eanet.data.split_names import split_meant
from eanet.text import some

MOST_FOLDERS = 200  # class folders looked into
NAMED = 3


def suspicions(train: Listing, reading: LayoutName) -> Iterator[Finding]:
    """Yield what is odd about the class folders of the training images."""
    if reading in ("classes", "parents") or not train.place.is_dir():
        return
    folders = visible_folders(train.place)
    inner = {path: _names(path) for path in folders[:MOST_FOLDERS]}
    common = set.intersection(*map(set, inner.values())) if len(inner) > 1 else set()
    if len(common) > 1:
        yield Finding(
            f"every class folder ({some([path.name for path in folders], NAMED)}) holds the "
            f"folders {some(sorted(common), NAMED)}",
            "layout",
            "if these are the classes, use --layout parents",
        )
        return
    for path in folders:
        if split_meant(path.name) and (names := likely_names(list_files(path))):
            yield Finding(
                f"the folder {path.name} is read as a class, but its images have names as of "
                f"several ({some(names, NAMED)})",
                "layout",
                "if these are the classes, use --layout filenames",
            )
    classes = {path.name for path in folders}
    for path, names in inner.items():
        if len(copies := sorted(classes & set(names) - {path.name})) > 1:
            yield Finding(
                f"the class folder {path.name} holds folders of the names of other classes "
                f"({some(copies, NAMED)})",
                "",
                "if it is a copy of them, remove it",
            )


def _names(folder: Path) -> list[str]:
    return [path.name for path in visible_folders(folder)]
