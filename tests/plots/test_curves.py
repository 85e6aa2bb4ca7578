from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eanet.errors import EanetError
from eanet.plots.curves import ACCURACY, LOSS, plot_curves
from eanet.plots.labels import spread
from tests.support.pictures import BLUE, ORANGE, amount, history, pixels


@pytest.mark.parametrize("epochs", [1, 3, 300])
def test_curves_of_any_length_are_drawn(tmp_path: Path, epochs: int) -> None:
    path = plot_curves(history(epochs), tmp_path / "curves.png", title="a run", best_epoch=epochs)
    assert path == tmp_path / "curves.png"
    array = pixels(path)
    assert array.shape[1] > 1.5 * array.shape[0]
    assert amount(array, BLUE) > 300
    assert amount(array, ORANGE) > 100


def test_without_validation_only_the_training_curves_are_drawn(tmp_path: Path) -> None:
    array = pixels(plot_curves(history(5, validation=False), tmp_path / "c.png", best_epoch=5))
    assert amount(array, BLUE) == 0
    assert amount(array, ORANGE) > 300


@pytest.mark.filterwarnings("error")
def test_a_run_that_diverges_is_drawn_up_to_there(tmp_path: Path) -> None:
    rows = history(4)
    rows[-1] |= {"train_loss": math.nan, "val_loss": math.inf, "val_accuracy": math.nan}
    assert amount(pixels(plot_curves(rows, tmp_path / "c.png", best_epoch=3)), BLUE) > 300


def test_a_run_without_any_finite_value_is_drawn_empty(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "train_loss": math.nan}]
    pixels(plot_curves(rows, tmp_path / "c.png", best_epoch=1))


def test_five_best_of_five_classes_are_not_drawn(tmp_path: Path) -> None:
    rows = [row | {"train_top5": 1.0, "val_top5": 1.0} for row in history(9)]
    without = [{k: v for k, v in row.items() if "top5" not in k} for row in rows]
    files = [plot_curves(r, tmp_path / f"{len(r[0])}.png") for r in (rows, without)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_panel_can_be_drawn_alone(tmp_path: Path) -> None:
    wide, high = (
        pixels(plot_curves(history(9), tmp_path / "c.png", best_epoch=4, panels=panels)).shape[1]
        for panels in ((LOSS, ACCURACY), (LOSS,))
    )
    assert high < 0.6 * wide


def test_the_best_epoch_is_marked(tmp_path: Path) -> None:
    marked = pixels(plot_curves(history(9), tmp_path / "a.png", best_epoch=4))
    plain = pixels(plot_curves(history(9), tmp_path / "b.png"))
    assert amount(marked, BLUE) > amount(plain, BLUE)


def test_an_empty_history_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match="no finished epoch"):
        plot_curves([], tmp_path / "curves.png")


def test_a_best_epoch_outside_the_history_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match="best epoch 7 is not in the history, which has 1 to 3"):
        plot_curves(history(3), tmp_path / "curves.png", best_epoch=7)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6), st.floats(0.1, 10))
def test_labels_are_spread_apart_in_their_order_about_their_mean(
    positions: list[float], gap: float
) -> None:
    moved = spread(positions, gap)
    order = np.argsort(positions, kind="stable")
    assert (np.diff(np.array(moved)[order]) >= gap - 1e-6).all()
    assert np.mean(moved) == pytest.approx(np.mean(positions), abs=1e-6)


def test_labels_that_stand_apart_stay_where_they_are() -> None:
    assert spread([3.0, 1.0, 2.0], gap=0.5) == pytest.approx([3.0, 1.0, 2.0])
    assert spread([5.0, 5.0], gap=1.0) == pytest.approx([4.5, 5.5])
    assert spread([], gap=1.0) == []
