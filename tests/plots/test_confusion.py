from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eanet.errors import EanetError
from eanet.metrics.confusion import most_confused, row_shares
from eanet.plots.confusion import cell_colours, plot_confusion
from tests.support.pictures import BLUE, CLASSES, MATRIX, ORANGE, pixels


def test_rows_are_divided_by_the_images_of_the_true_class() -> None:
    shares = row_shares(np.array([[8, 2], [0, 0]]))
    np.testing.assert_allclose(shares[0], [0.8, 0.2])
    assert np.isnan(shares[1]).all()


def test_the_most_confused_are_named_true_class_first_and_most_frequent_first() -> None:
    assert most_confused(MATRIX, CLASSES, 3) == [
        ("cat", "ant", 3),
        ("cat", "bee", 3),
        ("ant", "bee", 2),
    ]
    assert len(most_confused(MATRIX, CLASSES, 99)) == 4, "a cell without images is no mistake"
    assert MATRIX[0, 0] == 8, "the matrix is left alone"


def test_right_is_blue_wrong_is_orange_and_a_class_without_images_gray() -> None:
    colours = cell_colours(np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [np.nan] * 3])) * 255
    np.testing.assert_allclose(colours[0, 0], BLUE)
    np.testing.assert_allclose(colours[1, 0], ORANGE)
    np.testing.assert_allclose(colours[0, 1], 255)
    assert np.ptp(colours[2]) == 0
    assert colours[2, 0, 0] < 255


def test_the_true_class_is_the_row_in_the_picture(tmp_path: Path) -> None:
    # Every image of the second class is taken for the first: orange below left, not above right.
    array = pixels(plot_confusion(np.array([[9, 0], [9, 0]]), ["a", "b"], tmp_path / "c.png"))
    orange = np.argwhere(np.abs(array - ORANGE).max(axis=2) < 8).mean(axis=0)
    blue = np.argwhere(np.abs(array - BLUE).max(axis=2) < 8).mean(axis=0)
    assert orange[0] > blue[0] + 100
    assert abs(orange[1] - blue[1]) < 20


@pytest.mark.parametrize(
    "size", [1, 2, 10, 26, *(pytest.param(size, marks=pytest.mark.slow) for size in (100, 130))]
)
def test_a_matrix_of_any_size_is_drawn(tmp_path: Path, size: int) -> None:
    matrix = np.random.default_rng(0).integers(0, 9, (size, size)) + 50 * np.eye(size, dtype=int)
    matrix[0] = 0
    path = plot_confusion(matrix, [f"class {i}" for i in range(size)], tmp_path / "confusion.png")
    pixels(path)
    assert path.stat().st_size < 1_500_000


def test_a_large_matrix_without_mistakes_is_drawn(tmp_path: Path) -> None:
    pixels(plot_confusion(np.eye(30, dtype=int), [str(i) for i in range(30)], tmp_path / "c.png"))


def test_awkward_class_names_do_not_break_the_picture(tmp_path: Path) -> None:
    names = ["$\\frac$ 5_", "a" * 300, "Übergröße"]
    pixels(plot_confusion(MATRIX, names, tmp_path / "c.png", title="$x"))


@pytest.mark.parametrize("classes", [[], ["ant", "bee"]])
def test_a_matrix_that_does_not_fit_the_classes_is_an_error(
    tmp_path: Path, classes: list[str]
) -> None:
    with pytest.raises(EanetError, match="does not fit"):
        plot_confusion(MATRIX, classes, tmp_path / "c.png")
