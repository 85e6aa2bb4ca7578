"""Find images that occur more than once, with identical pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from eanet.data.imageset import ImageSet

Place = tuple[str, int]
"""A split, and the index of an image in it."""


def find_duplicates(sets: Mapping[str, ImageSet]) -> list[list[Place]]:
    """Return groups of two or more images with the same pixels.

    Pixels are compared, not files, since a model sees only pixels: copies with other metadata or in
    another lossless format count.
    """
    groups: dict[bytes, list[Place]] = defaultdict(list)
    for split, images in sets.items():
        for index, digest in enumerate(images.digests()):
            groups[digest].append((split, index))
    return [group for group in groups.values() if len(group) > 1]
