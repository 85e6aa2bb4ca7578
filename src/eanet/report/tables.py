"""The tables of a report's page: classes, confusion matrix, confused pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eanet.metrics.classes import ClassFigures
from eanet.metrics.confusion import most_confused, row_shares
from eanet.report.images import data_uri

# Largest number of classes: cell side, digit size. Above that, a picture without names.
_CELLS = {8: ("4rem", "1rem"), 25: ("2.6rem", ".9rem"), 120: ("1.15rem", ".62rem")}
_PAIRS = 15
_DEEP = 0.78  # depth of colour above which white text is more legible than black
# Visible on light and dark cards.
_RIGHT, _WRONG = (47, 127, 201), (224, 112, 42)


def class_table(figures: Sequence[ClassFigures]) -> str:
    """Return a table of precision, recall and F1 by class, worst first; a click on a head sorts."""
    heads = ("Class", "Images", "Precision", "Recall", "F1")
    sort = ' aria-sort="ascending"'
    head = "".join(
        f'<th scope="col"{sort if name == heads[-1] else ""}>'
        f'<button type="button">{name}</button></th>'
        for name in heads
    )
    worst_first = sorted(figures, key=lambda row: -1.0 if math.isnan(row.f1) else row.f1)
    rows = "".join(
        f'<tr><th scope="row">{escape(row.name)}</th><td>{row.support:,}</td>'
        f"{_bar(row.precision)}{_bar(row.recall)}{_bar(row.f1)}</tr>\n"
        for row in worst_first
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Classes">'
        f'<table class="figures sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}</tbody></table></div>"
    )


def _bar(value: float) -> str:
    if math.isnan(value):
        return "<td>&ndash;</td>"
    return f'<td class="bar" style="--v:{value:.3f}">{value:.1%}</td>'


def pair_table(matrix: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return a table of the most confused pairs, with shares of the true class; empty if none."""
    totals = dict(zip(classes, matrix.sum(axis=1).tolist(), strict=True))
    rows = "".join(
        f'<tr><td class="name">{escape(true)}</td><td class="name">{escape(found)}</td>'
        f"<td>{count:,}</td>"
        f'<td class="bar bad" style="--v:{count / totals[true]:.3f}">{count / totals[true]:.1%}'
        "</td></tr>\n"
        for true, found, count in most_confused(matrix, classes, _PAIRS)
    )
    heads = {"True class": "name", "Predicted": "name", "Images": "", "Share": ""}
    head = "".join(
        f'<th scope="col" class="{kind}"><span>{name}</span></th>' for name, kind in heads.items()
    )
    return (
        f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>'
        if rows
        else ""
    )


def confusion_matrix(matrix: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return the confusion matrix (K, K) as a table, or a picture if there are too many classes."""
    size = len(classes)
    fitting = [sizes for most, sizes in _CELLS.items() if size <= most]
    if not fitting:
        return (
            f'<img class="pixels" src="{_pixels(matrix)}" alt="Confusion matrix of {size} classes">'
            f'<p class="note">{size:,} classes, in the order of classes.csv</p>'
        )
    cell, digits = fitting[0]
    names = [escape(name) for name in classes]
    head = "".join(f'<th scope="col"><span title="{name}">{name}</span></th>' for name in names)
    depths = np.sqrt(row_shares(matrix))
    rows = "".join(
        f'<tr data-images="{counts.sum()}"><th scope="row" title="{name}">{name}</th>'
        + "".join(
            _cell(count, depth, is_right=row == column)
            for column, (count, depth) in enumerate(zip(counts.tolist(), depths[row], strict=True))
        )
        + "</tr>\n"
        for row, (name, counts) in enumerate(zip(names, matrix, strict=True))
    )
    return (
        '<p class="readout" aria-hidden="true">Point at or tap a cell to read it.</p>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">'
        f'<table class="matrix{" dense" if len(fitting) == 1 else ""}" '
        f'style="--cell:{cell};--digits:{digits}">'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>"
    )


def _cell(count: int, depth: float, is_right: bool) -> str:
    if not count:
        return "<td></td>"
    kind = ("right" if is_right else "wrong") + (" deep" if depth > _DEEP else "")
    return f'<td class="{kind}" style="--d:{depth:.2f}">{count:,}</td>'


def _pixels(matrix: NDArray[np.int64]) -> str:
    """Draw a matrix (K, K) with a few pixels per cell, transparent where the count is 0."""
    size = len(matrix)
    opacity = np.sqrt(np.nan_to_num(row_shares(matrix)))
    colours = np.where(np.eye(size, dtype=bool)[..., None], _RIGHT, _WRONG)
    pixels = np.dstack([colours, np.rint(255 * opacity)]).astype(np.uint8)  # (K, K, 4)
    pixels[opacity == 0] = 0  # keeps the file small
    each = -(-768 // size)
    return data_uri(Image.fromarray(pixels.repeat(each, axis=0).repeat(each, axis=1)), "png")
