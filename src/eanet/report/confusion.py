"""The confusion matrix of a report's page: a table of cells, or a picture of many classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.data.imageset import ImageSet
from eanet.metrics.confusion import most_confused, row_shares
from eanet.metrics.evaluation import Evaluation
from eanet.pages.images import data_uri
from eanet.plots.names import cut_names
from eanet.report.cells import MOST, MOST_OF_CELL, Cell, CellImages, cell_images
from eanet.text import isolated

# Largest number of classes: cell side, digit size. Above that, a picture without names.
_CELLS = {8: ("4rem", "1rem"), 25: ("2.6rem", ".9rem"), 120: ("1.15rem", ".62rem")}
_PAIRS = 15
_LETTERS = 18  # of a name at the edge of the matrix
_NAMES, _PAPER = 10, 40  # rem: the width of the names at most, and of a sheet of A4 without margins
_DEEP = {True: 0.87, False: 0.98}  # depths of blue, orange above which black text is too faint
# Visible on light and dark cards.
_RIGHT, _WRONG = (47, 127, 201), (224, 112, 42)


def confusion_context(evaluation: Evaluation, images: ImageSet) -> dict[str, Any]:
    """Return what ``confusion.html`` shows: the matrix, and some of the images that it counts."""
    matrix, classes = evaluation.confusion(), evaluation.classes
    numbers = {name: number for number, name in enumerate(classes)}
    totals = matrix.sum(axis=1).tolist()
    cells = cell_images(evaluation, images)
    context: dict[str, Any] = {
        "classes": classes,
        "shown": cut_names(classes, lambda text: len(text) <= _LETTERS),
        "picture": None,
        "opened": {f"cell-{true}-{other}": cell for (true, other), cell in cells.items()},
        "most": MOST,
        "most_of_cell": MOST_OF_CELL,
        "pairs": [
            {
                "true": isolated(true),
                "predicted": isolated(predicted),
                "images": count,
                "share": count / totals[numbers[true]],
                "opens": _opens(cells, (numbers[true], numbers[predicted])),
            }
            for true, predicted, count in most_confused(matrix, classes, _PAIRS)
        ],
    }
    sizes = [sizes for most, sizes in _CELLS.items() if len(classes) <= most]
    if not sizes:
        return context | {"picture": _draw_pixels(matrix)}
    cell_size, digit_size = sizes[0]
    width = len(classes) * float(cell_size.removesuffix("rem")) + _NAMES
    return context | {
        "rows": _rows(matrix, classes, cells),
        "cell_size": cell_size,
        "digit_size": digit_size,
        "is_dense": len(sizes) == 1,
        "on_paper": min(1, _PAPER / width),
    }


def matrix_context(evaluation: Evaluation) -> dict[str, Any]:
    """Return what a notebook shows of the matrix."""
    matrix, classes = evaluation.confusion(), evaluation.classes
    shown = cut_names(classes, lambda text: len(text) <= _LETTERS)
    return {"classes": classes, "shown": shown, "rows": _rows(matrix, classes, {})}


def _rows(
    matrix: NDArray[np.int64], classes: Sequence[str], cells: Mapping[Cell, CellImages]
) -> list[dict[str, Any]]:
    depths = np.sqrt(row_shares(matrix))
    return [
        {
            "name": name,
            "images": int(matrix[row].sum()),
            "cells": [
                _cell(int(count), float(depth), row == column, _opens(cells, (row, column)))
                for column, (count, depth) in enumerate(zip(matrix[row], depths[row], strict=True))
            ],
        }
        for row, name in enumerate(classes)
    ]


def _cell(count: int, depth: float, is_right: bool, opens: str | None) -> dict[str, Any]:
    kind = ("right" if is_right else "wrong") + (" deep" if depth > _DEEP[is_right] else "")
    return {"count": count, "depth": depth, "kind": kind, "opens": opens}


def _opens(cells: Mapping[Cell, CellImages], cell: Cell) -> str | None:
    """Return the id of the images of a cell, if the page has any."""
    return f"cell-{cell[0]}-{cell[1]}" if cell in cells else None


def _draw_pixels(matrix: NDArray[np.int64]) -> str:
    """Draw a matrix (K, K) with a few pixels per cell, transparent where the count is 0."""
    size = len(matrix)
    opacity = np.sqrt(np.nan_to_num(row_shares(matrix)))
    colours = np.where(np.eye(size, dtype=bool)[..., None], _RIGHT, _WRONG)
    pixels = np.dstack([colours, np.rint(255 * opacity)]).astype(np.uint8)  # (K, K, 4)
    pixels[opacity == 0] = 0  # keeps the file small
    each = -(-768 // size)
    return data_uri(Image.fromarray(pixels.repeat(each, axis=0).repeat(each, axis=1)), "png")
