"""Where the paths of a list lead: lists are often written on another machine, or beside folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eanet.data.formats import image_extensions

SAMPLE = 16  # paths that are tried, spread evenly over the list
MOST_PARTS = 8  # leading folders of a path that may be left out


@dataclass(frozen=True)
class PathRule:
    """How the paths of a list become files.

    Attributes:
        folder: what relative paths start from.
        dropped: how many leading parts are left out; an absolute path has one more, its root.
        ending: extension that the list leaves out.
    """

    folder: Path
    dropped: int = 0
    ending: str = ""

    def file(self, path: str) -> Path:
        """Return the file that a path of the list names; ``..`` is removed."""
        parts = PurePosixPath(path).parts
        file = self.folder / Path(*parts[self.dropped :] if len(parts) > self.dropped else parts)
        # One file has one path; links to folders are followed for that.
        file = file.parent.resolve() / file.name if ".." in file.parts else file
        return file.with_name(file.name + self.ending) if self.ending else file

    def described(self, path: str) -> str:
        """Say how the path of a list was read."""
        return f"{path!r} is {self.file(path)}"


def as_posix(path: str, folder: Path) -> str:
    """Return a path with the separators of this system, if it was written on Windows."""
    is_own = os.sep != "\\" and os.path.lexists(folder / path)
    return path if "\\" not in path or is_own else path.replace("\\", "/")


def find_rule(folder: Path, paths: Sequence[str], beside: Sequence[Path]) -> PathRule:
    """Return the rule by which most of the paths lead to files.

    As written, from the folder of the list, goes first. Another rule must lead to most of the paths
    tried, while as written not one of them is there: a missing file is reported missing, and not
    looked for elsewhere.

    Args:
        folder: the folder of the list.
        paths: those in the list.
        beside: other folders that the paths may start from, the likeliest first.
    """
    step = max(1, len(paths) // SAMPLE)
    sample = paths[::step][:SAMPLE]

    def found(rule: PathRule) -> int:
        return sum(os.path.lexists(rule.file(path)) for path in sample)

    as_written = PathRule(folder)
    if not sample or found(as_written):
        return as_written
    parts = min(max(len(PurePosixPath(path).parts) for path in sample), MOST_PARTS)
    places = [folder, *beside]
    rules = [PathRule(place, dropped) for dropped in range(parts) for place in places]
    if not any(PurePosixPath(path).suffix.lower() in image_extensions() for path in sample):
        endings = [e for x in sorted(image_extensions()) for e in (x, x.upper())]
        rules += [PathRule(place, 0, ending) for ending in endings for place in places]
    best = max(rules, key=found)  # of equals the first
    return best if 2 * found(best) > len(sample) else as_written
