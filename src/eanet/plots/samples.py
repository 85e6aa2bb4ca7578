"""A sheet of images with their predicted classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eanet.errors import EanetError
from eanet.plots.names import shorten_names
from eanet.plots.style import (
    BLUE,
    MUTED,
    ORANGE,
    annotate,
    picture,
    smoothing,
    text_width,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 1.6  # of an image on the sheet, in inches
_GAP = 0.15
_POINTS = 11  # of the text below an image


def choose_samples(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], count: int = 24, seed: int = 0
) -> NDArray[np.int64]:
    """Draw up to ``count`` images at random, independent of what the model predicts.

    Args:
        labels: (n,) true classes.
        predicted: (n,) predicted classes; they only order what was drawn.
        count: how many to draw.
        seed: another seed draws other images.

    Returns:
        (min(count, n),) indices, correct predictions first. What is drawn depends only on n,
        ``count`` and ``seed``, so that the sheets of two models show the same images.
    """
    if len(labels) != len(predicted):
        raise EanetError(f"{len(labels)} labels do not fit {len(predicted)} predictions")
    generator = np.random.default_rng(seed)
    drawn = np.sort(generator.choice(len(labels), min(count, len(labels)), replace=False))
    return drawn[np.argsort(labels[drawn] != predicted[drawn], kind="stable")]


def most_wrong(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], count: int = 24
) -> NDArray[np.int64]:
    """Return indices of up to ``count`` misclassified images, highest loss first.

    Args:
        labels: (n,) true classes.
        probabilities: (n, K) of the model.
        count: maximum number of images.
    """
    true = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return np.asarray(wrong[np.argsort(true[wrong], kind="stable")][:count], dtype=np.int64)


def least_certain(probabilities: NDArray[np.float32], count: int = 24) -> NDArray[np.int64]:
    """Return indices of the ``count`` images whose answers are least probable, lowest first.

    Args:
        probabilities: (n, K) of the model.
        count: maximum number of images.
    """
    order = np.argsort(probabilities.max(axis=1), kind="stable")
    return np.asarray(order[:count], dtype=np.int64)


def plot_samples(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    path: Path,
    *,
    title: str = "",
    given: str = "true",
) -> Path:
    """Draw a sheet of images with predicted class, confidence, and true class if it differs.

    Args:
        images: (m, H, W, 3) pixels.
        labels: (m,) true classes.
        probabilities: (m, K) of the model.
        classes: the K class names.
        path: the PNG file to write.
        title: shown above the picture.
        given: what to call the class in ``labels``.

    Raises:
        EanetError: there are no images, sizes do not match, or the file cannot be written.
    """
    count, size = len(images), len(classes)
    if not count:
        raise EanetError("there is no image to draw; choose at least one")
    if labels.shape != (count,) or probabilities.shape != (count, size) or labels.max() >= size:
        raise EanetError(
            f"{count} images, labels of shape {labels.shape}, probabilities of shape "
            f"{probabilities.shape} and {size} class names do not fit each other"
        )
    columns = min(6, count)
    rows = -(-count // columns)
    height = _WIDTH * images.shape[1] / images.shape[2]
    pitch = height + 0.6  # two lines of text under each image
    sheet_width, sheet_height = columns * (_WIDTH + _GAP), rows * pitch
    interpolation = smoothing(max(images.shape[1:3]))
    with picture(path, sheet_width, sheet_height, dpi=120) as figure:
        seen = [classes[k] for k in (*labels.tolist(), *probabilities.argmax(axis=1).tolist())]
        answers = shorten_names(seen, _POINTS, _WIDTH - text_width("✓  100%", _POINTS))
        trues = shorten_names(seen, _POINTS, _WIDTH - text_width(f"{given}: ", _POINTS))
        for place, image in enumerate(images):
            row, column = divmod(place, columns)
            corner = (column / columns, 1 - (row * pitch + height) / sheet_height)
            axes = figure.add_axes((*corner, _WIDTH / sheet_width, height / sheet_height))
            axes.imshow(image, interpolation=interpolation, aspect="auto")
            axes.set(xticks=[], yticks=[])
            best = int(probabilities[place].argmax())
            _write_verdict(
                axes,
                answers[classes[best]],
                f"{given}: {trues[classes[labels[place]]]}",
                float(probabilities[place, best]),
                is_correct=best == labels[place],
            )
        write_title(figure.axes[0], title, points=14)
    return path


def _write_verdict(
    axes: Axes, answer: str, label: str, confidence: float, *, is_correct: bool
) -> None:
    """Write the prediction below its image; if it is wrong, add the label and a frame."""
    mark, colour = ("✓", BLUE) if is_correct else ("✗", ORANGE)
    lines = [
        (f"{mark} {answer}", "left", 5, colour),
        (f"{confidence:.0%}", "right", 5, colour),
        ("" if is_correct else label, "left", 20, MUTED),
    ]
    for text, side, below, ink in lines:
        style = {"color": ink, "fontsize": _POINTS, "ha": side, "va": "top"}
        annotate(axes, text, (1 if side == "right" else 0, 0), (0, -below), **style)
    axes.spines[:].set(visible=not is_correct, color=ORANGE, linewidth=2.5)
