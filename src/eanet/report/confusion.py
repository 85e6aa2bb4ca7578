"""The confusion matrix of a report's page: a table of cells, or a picture of many classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.metrics.confusion import most_confused, row_shares
from eanet.report.images import data_uri

# Largest number of classes: cell side, digit size. Above that, a picture without names.
_CELLS = {8: ("4rem", "1rem"), 25: ("2.6rem", ".9rem"), 120: ("1.15rem", ".62rem")}
_PAIRS = 15
_DEEP = 0.78  # depth of colour above which white text is more legible than black
# Visible on light and dark cards.
_RIGHT, _WRONG = (47, 127, 201), (224, 112, 42)


def confusion_context(matrix: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """Return what ``confusion.html`` shows of a confusion matrix (K, K)."""
    totals = dict(zip(classes, matrix.sum(axis=1).tolist(), strict=True))
    context: dict[str, Any] = {
        "classes": classes,
        "picture": None,
        "pairs": [
            {"true": true, "predicted": predicted, "images": images, "share": images / totals[true]}
            for true, predicted, images in most_confused(matrix, classes, _PAIRS)
        ],
    }
    sizes = [sizes for most, sizes in _CELLS.items() if len(classes) <= most]
    if not sizes:
        return context | {"picture": _draw_pixels(matrix)}
    cell_size, digit_size = sizes[0]
    depths = np.sqrt(row_shares(matrix))
    rows = [
        {
            "name": name,
            "images": int(matrix[row].sum()),
            "cells": [
                _cell(int(count), float(depth), is_right=row == column)
                for column, (count, depth) in enumerate(zip(matrix[row], depths[row], strict=True))
            ],
        }
        for row, name in enumerate(classes)
    ]
    return context | {
        "rows": rows,
        "cell_size": cell_size,
        "digit_size": digit_size,
        "is_dense": len(sizes) == 1,
    }


def _cell(count: int, depth: float, is_right: bool) -> dict[str, Any]:
    kind = ("right" if is_right else "wrong") + (" deep" if depth > _DEEP else "")
    return {"count": count, "depth": depth, "kind": kind}


def _draw_pixels(matrix: NDArray[np.int64]) -> str:
    """Draw a matrix (K, K) with a few pixels per cell, transparent where the count is 0."""
    size = len(matrix)
    opacity = np.sqrt(np.nan_to_num(row_shares(matrix)))
    colours = np.where(np.eye(size, dtype=bool)[..., None], _RIGHT, _WRONG)
    pixels = np.dstack([colours, np.rint(255 * opacity)]).astype(np.uint8)  # (K, K, 4)
    pixels[opacity == 0] = 0  # keeps the file small
    each = -(-768 // size)
    return data_uri(Image.fromarray(pixels.repeat(each, axis=0).repeat(each, axis=1)), "png")
