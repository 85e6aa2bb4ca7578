"""Near-duplicates: the same picture at another exposure, size or compression, or the next frame.

Each image is reduced to a small grey thumbnail from which mean and contrast are taken away, so that
the correlation of two does not depend on exposure. A pair must correlate, its edges must too, and
it must be far closer than either is to the closest per cent of the set: plates on a table are all
alike without being copies. Images that are half of one shade, such as characters, must correlate
nearly perfectly.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from eanet.data.imageset import ImageSet

MOST_IMAGES = 60_000  # the work grows with the square; 50,000 take some seconds
THUMBNAIL, EDGES = 16, 24  # pixels to a side for the search, and for the edges of what it finds
CORRELATION = 0.9  # of thumbnails, and of edges
FLAT_CORRELATION = 0.99  # of drawings and characters, which have little to differ in
FLAT = 4.0  # grey levels within which at least half of such an image lies
CLOSER = 0.4  # than the closest per cent, as a ratio of distances
CLOSEST, LEAST_CLOSEST = 0.01, 25
SAMPLE = 2000  # images that stand for the set
COMPONENTS = 32  # principal components searched; they leave out no pair, but let others through
LEAST_CONTRAST = 2.0  # standard deviation in grey levels; below, an image shows nothing
BLOCK = 512
ROUNDING = 1e-4  # of squared distances

Vectors = NDArray[np.float32]


def can_be_searched(sets: Sequence[ImageSet]) -> bool:
    """Return whether near-duplicates are looked for: in 2 to `MOST_IMAGES` images.

    Not in images of less than 16 pixels, of which many look alike.
    """
    return 2 <= sum(map(len, sets)) <= MOST_IMAGES and sets[0].image_size >= THUMBNAIL


def near_duplicates(sets: Sequence[ImageSet]) -> NDArray[np.int64]:
    """Return pairs of images that are nearly the same, (m, 2); each copy with the first alone.

    Args:
        sets: images of one size; they are counted through.

    Returns:
        The smaller number of each pair first, in order; none if they cannot be searched.
    """
    if not can_be_searched(sets):
        return np.empty((0, 2), np.int64)
    total = sum(map(len, sets))
    grey = np.concatenate([_thumbnails(images, THUMBNAIL) for images in sets])  # (n, s, s)
    flat = grey.reshape(total, -1)  # (n, s * s)
    vectors, contrast = _normalized(flat)
    needed = np.where(_is_flat(flat), FLAT_CORRELATION, CORRELATION).astype(np.float32)
    first, copies = _copies(flat, np.flatnonzero(contrast >= LEAST_CONTRAST))
    if len(first) < 2:
        return copies
    found = first[_close_pairs(vectors[first], needed[first])]
    if len(found):
        found = found[_edge_correlations(sets, found) >= needed[found].max(axis=1)]
    return np.unique(np.concatenate([found, copies]), axis=0)


def _copies(flat: Vectors, shown: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first of equal rows among those ``shown``, and each other one with its first.

    A placeholder that occurs thousands of times would otherwise make millions of pairs.
    """
    _, first, same = np.unique(flat[shown], axis=0, return_index=True, return_inverse=True)
    firsts = first[same.ravel()]
    others = np.flatnonzero(firsts != np.arange(len(shown)))
    return shown[np.sort(first)], np.stack([shown[firsts[others]], shown[others]], axis=1)


def _thumbnails(images: ImageSet, side: int) -> Vectors:
    """Return grey images of at most ``side`` x ``side`` pixels, by area, (n, s, s)."""
    size = images.image_size
    mean = _area_mean(size, min(side, size))
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    chunks = [mean @ (chunk.astype(np.float32) @ luma) @ mean.T for chunk in images.chunks()]
    return np.concatenate(chunks) if chunks else np.empty((0, len(mean), len(mean)), np.float32)


def _area_mean(size: int, side: int) -> Vectors:
    """Return the matrix (side, size) that averages ``size`` values to ``side``."""
    edges = np.linspace(0, size, side + 1)
    pixels = np.arange(size)
    covered = [
        np.clip(np.minimum(b, pixels + 1) - np.maximum(a, pixels), 0, 1) for a, b in pairwise(edges)
    ]
    matrix = np.array(covered)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def _normalized(flat: Vectors) -> tuple[Vectors, Vectors]:
    """Return vectors (n, d) of mean 0 and length 1, and their standard deviations before, (n,)."""
    centred = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.maximum(length, np.float32(1e-6))
    return unit, length[:, 0] / np.float32(np.sqrt(flat.shape[1]))


def _is_flat(grey: Vectors) -> NDArray[np.bool_]:
    """Return whether half of the values of each row (n, d) lie within `FLAT`, (n,)."""
    ordered, half = np.sort(grey, axis=1), grey.shape[1] // 2
    return np.asarray((ordered[:, half:] - ordered[:, :-half]).min(axis=1) < FLAT)


def _close_pairs(vectors: Vectors, needed: Vectors) -> NDArray[np.int64]:
    """Return pairs within the radii of both, (m, 2), by principal components."""
    some = vectors[:: max(1, len(vectors) // SAMPLE)]
    axes = np.linalg.eigh(some.T @ some)[1][:, ::-1][:, :COMPONENTS]
    points = vectors @ np.ascontiguousarray(axes, dtype=np.float32)  # (n, c)
    radius = np.minimum(_radii(points, some @ axes), np.sqrt(2 - 2 * needed))  # (n,)
    order = np.argsort(points[:, 0])
    points, radius, vectors = points[order], radius[order], vectors[order]
    found = np.concatenate(
        [_pairs_of_block(points, radius, start) for start in range(0, len(points), BLOCK)]
    )
    # Components left out can only add to a distance.
    difference = vectors[found[:, 0]] - vectors[found[:, 1]]
    distance = np.linalg.norm(difference, axis=1)
    within = distance**2 <= radius[found].min(axis=1) ** 2 + ROUNDING
    return np.unique(np.sort(order[found[within]], axis=1), axis=0)


def _squared_distances(points: Vectors, others: Vectors) -> Vectors:
    """Return the squared distances, (n, m), as one matrix product."""
    ones = np.ones((len(points), 1), np.float32)
    left = np.concatenate([-2 * points, (points**2).sum(axis=1, keepdims=True), ones], axis=1)
    ones = np.ones((len(others), 1), np.float32)
    right = np.concatenate([others, ones, (others**2).sum(axis=1, keepdims=True)], axis=1)
    return np.asarray(left @ right.T)


def _radii(points: Vectors, sample: Vectors) -> Vectors:
    """Return `CLOSER` times the distance to the closest per cent of a sample, (n,)."""
    rank = min(len(sample) - 1, max(LEAST_CLOSEST, round(CLOSEST * len(sample))))
    squared = [
        np.partition(_squared_distances(points[start : start + BLOCK], sample), rank)[:, rank]
        for start in range(0, len(points), BLOCK)
    ]
    return np.asarray(CLOSER * np.sqrt(np.maximum(np.concatenate(squared), 0)), np.float32)


def _pairs_of_block(points: Vectors, radius: Vectors, start: int) -> NDArray[np.int64]:
    """Return pairs of a block of rows with later ones that are within the radius of the first.

    The points are sorted by their first component, which bounds how far a radius reaches.
    """
    stop = min(start + BLOCK, len(points))
    reach = points[stop - 1, 0] + radius[start:stop].max()
    end = max(stop, int(np.searchsorted(points[:, 0], reach, side="right")))
    squared = _squared_distances(points[start:stop], points[start:end])
    rows, columns = np.nonzero(squared <= radius[start:stop, None] ** 2 + ROUNDING)
    later = columns > rows
    return np.stack([rows[later], columns[later]], axis=1) + start


def _edge_correlations(sets: Sequence[ImageSet], pairs: NDArray[np.int64]) -> Vectors:
    """Return the correlation of the gradients of each pair, (m,)."""
    members, places = np.unique(pairs, return_inverse=True)
    starts = np.cumsum([0, *map(len, sets)])
    shares = [members[(members >= a) & (members < b)] - a for a, b in pairwise(starts)]
    kept = [_gradients(s.subset(rows)) for s, rows in zip(sets, shares, strict=True) if len(rows)]
    gradients, places = np.concatenate(kept), places.reshape(-1, 2)
    correlations = [
        (gradients[some[:, 0]] * gradients[some[:, 1]]).sum(axis=1)
        for some in np.array_split(places, len(places) // BLOCK + 1)
    ]
    return np.concatenate(correlations)


def _gradients(images: ImageSet) -> Vectors:
    """Return differences of neighbouring pixels as normalised vectors, (n, d)."""
    grey = _thumbnails(images, EDGES)
    across = np.diff(grey, axis=2)[:, :-1].reshape(len(grey), -1)
    down = np.diff(grey, axis=1)[:, :, :-1].reshape(len(grey), -1)
    return _normalized(np.concatenate([across, down], axis=1))[0]
