"""What the tests of the pictures share: figures to draw, a look at what was drawn, or blanks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

BLUE, ORANGE = (11, 102, 176), (194, 80, 10)
MATRIX = np.array([[8, 2, 0], [1, 9, 0], [3, 3, 4]])
CLASSES = ["ant", "bee", "cat"]


def history(epochs: int, validation: bool = True) -> list[dict[str, float]]:
    names = ["train", "val"] if validation else ["train"]
    return [
        {"epoch": epoch, "learning_rate": 0.1, "seconds": 1.0}
        | {f"{name}_loss": 3 / epoch for name in names}
        | {f"{name}_accuracy": 1 - 0.7 / epoch for name in names}
        | {f"{name}_top5": 1 - 0.3 / epoch for name in names}
        for epoch in range(1, epochs + 1)
    ]


@contextmanager
def blank_pictures() -> Iterator[None]:
    """Pictures are written, but blank: drawing them takes most of the time of a report."""

    def save(_: object, path: Path, *, format: str, **__: object) -> None:  # noqa: A002
        if format == "svg":
            path.write_text("<svg></svg>")
        else:
            Image.new("RGB", (8, 8)).save(path, format)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", save)
        yield


@contextmanager
def drawn_texts() -> Iterator[dict[str, Bbox]]:
    """Where each text of a picture stands that is drawn meanwhile, in pixels."""
    found: dict[str, Bbox] = {}
    save = Figure.savefig

    def look_and_save(figure: Figure, *arguments: Any, **options: Any) -> None:
        save(figure, *arguments, **options)
        found.update({t.get_text(): t.get_window_extent() for t in figure.findobj(Text)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", look_and_save)
        yield found


def pixels(path: Path) -> np.ndarray:
    """The pixels of a picture that must be a whole PNG, of a size for people, and not blank."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        array = np.asarray(image.convert("RGB")).astype(int)
    assert min(array.shape[:2]) > 150
    assert max(array.shape[:2]) < 4000
    assert array.std() > 3
    assert (array[0] == 255).all(), "something touches the edge"
    return array


def amount(array: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(array - colour).max(axis=2) < 8).sum())


def probabilities(predicted: list[int], classes: int) -> np.ndarray:
    return (0.9 * np.eye(classes)[predicted] + 0.1 / classes).astype(np.float32)
