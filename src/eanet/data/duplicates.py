"""Images that are there more than once, to the pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from eanet.data.imageset import ImageSet

Place = tuple[str, int]
"""A split, and the index of an image in it."""


def find_duplicates(sets: Mapping[str, ImageSet]) -> list[list[Place]]:
    """Groups of two and more images with the same pixels.

    Pixels and not files, since that is what a model sees: copies with other metadata or in another
    lossless format count.
    """
    groups: dict[bytes, list[Place]] = defaultdict(list)
    for split, images in sets.items():
        for index, digest in enumerate(images.digests()):
            groups[digest].append((split, index))
    return [group for group in groups.values() if len(group) > 1]
