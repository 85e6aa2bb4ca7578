from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eanet.errors import EanetError
from eanet.plots.pairs import Pair, plot_pairs
from tests.support.pictures import ORANGE, amount
from tests.support.pictures import pixels as drawn


def pair(number: int, note: str = "") -> Pair:
    one, other = np.random.default_rng(number).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    return Pair((one, other), (f"class/{number}.jpg", "a name that is long " * 6), note)


def test_pairs_stand_in_rows_with_what_is_odd_about_them(tmp_path: Path) -> None:
    few = drawn(plot_pairs([pair(0)], tmp_path / "few.png"))
    many = drawn(plot_pairs([pair(i) for i in range(7)], tmp_path / "many.png", title="Pairs"))
    assert many.shape[0] > 2 * few.shape[0]
    assert many.shape[1] > 2 * few.shape[1]
    noted = drawn(plot_pairs([pair(0, "of different splits")], tmp_path / "noted.png"))
    assert amount(noted, ORANGE) > 20 + amount(few, ORANGE)


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match="no pair"):
        plot_pairs([], tmp_path / "none.png")
