"""Where the paths of a list lead: lists are often written on another machine, or beside folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from filecmp import cmp
from pathlib import Path, PurePosixPath

from eanet.data.layout import is_image, list_files
from eanet.errors import EanetError

SAMPLE = 1000  # paths that are tried, spread evenly over the list
MOST_PARTS = 16  # of a path, from its end

Tail = tuple[str, ...]
"""The last parts of a path."""


def as_posix(path: str, folder: Path) -> str:
    """Return a path with the separators of this system, if it was written on Windows."""
    is_own = os.sep != "\\" and os.path.lexists(folder / path)
    return path if "\\" not in path or is_own else path.replace("\\", "/")


def _as_written(path: str, folder: Path) -> Path:
    """Return the file that a path names if it starts from ``folder``; ``..`` is removed."""
    file = folder / path
    # One file has one path; links to folders are followed for that.
    return file.parent.resolve() / file.name if ".." in file.parts else file


def find_files(
    file: Path, paths: Sequence[str], near: Sequence[Path] = ()
) -> tuple[list[Path], list[str]]:
    """Return the file that each path of a list names, and notes on how the paths were read.

    Paths start from the folder of the list. If not one of those tried is there, a path names the
    file, anywhere below that folder, whose own path ends like it: without its first folders, as few
    as needed to find most, and without extensions if the list has none. A path that none ends like
    stays as written: a missing file is reported missing.

    Args:
        file: the list.
        paths: those in it.
        near: folders below that of the list, to look in alone if that finds more files, each by one
            path, than looking everywhere.

    Raises:
        EanetError: several files, not all of the same content, end like a path; or a folder cannot
            be read.
    """
    folder = file.parent
    written = [_as_written(path, folder) for path in paths]
    sample = range(0, len(paths), max(1, len(paths) // SAMPLE))
    if not paths or any(os.path.lexists(written[row]) for row in sample):
        return written, []
    parts = [PurePosixPath(path).parts[-MOST_PARTS:] for path in paths]
    names = {name for own in parts for name in own[-1:]}
    has_endings = any(is_image(written[row]) for row in sample)
    places = ([*near], [folder]) if near else ([folder],)
    indexes = [_index(folder, where, names, has_endings) for where in places]
    for dropped in range(max(map(len, parts))):
        tails = [own[dropped:] or own for own in parts]
        tried = [tails[row] for row in sample]
        index = max(indexes, key=lambda index: sum(len(index.get(t, ())) == 1 for t in tried))
        if 2 * sum(tail in index for tail in tried) > len(tried):
            only = {tail: _only(file, tail, index[tail]) for tail in tails if tail in index}
            path, tail = next(pair for pair in zip(paths, tails, strict=True) if pair[1] in only)
            note = f"paths in {file.name} are not as written: {path!r} is {only[tail]}"
            return [only.get(tail, own) for tail, own in zip(tails, written, strict=True)], [note]
    return written, []


def _index(
    folder: Path, places: Sequence[Path], names: Collection[str], has_endings: bool
) -> Mapping[Tail, list[Path]]:
    """Return the files in ``places``, below ``folder``, by all that their paths there end with.

    Args:
        folder: where the paths start.
        places: the folders to look in.
        names: of the files; others are left out.
        has_endings: whether ``names`` have the extensions of images.
    """
    index: dict[Tail, list[Path]] = {}
    for path in (path for place in places for path in list_files(place)):
        name = path.name if has_endings or not is_image(path) else path.stem
        if name in names:
            parts = (*path.parts[len(folder.parts) : -1], name)[-MOST_PARTS:]
            for first in range(len(parts)):
                index.setdefault(parts[first:], []).append(path)
    return index


def _only(file: Path, tail: Tail, found: Sequence[Path]) -> Path:
    """Return the first of the files that a list may mean, which must have the same content."""
    first, *others = found
    for other in others:
        if not cmp(first, other, shallow=False):
            one, two = (path.relative_to(file.parent) for path in (first, other))
            raise EanetError(
                f"{file}: {'/'.join(tail)!r} may be {one} or {two}, which differ: write the folder "
                "into the list, or move the images it does not mean away"
            )
    return first
