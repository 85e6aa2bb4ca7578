"""The range test: what it suggests, keeps and leaves alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

import eanet
from eanet import EanetError
from eanet.config import TrainSettings
from eanet.plots.lr_search import plot_range_test
from eanet.training import lr_search
from eanet.training.launch import launch
from eanet.training.lr_search import range_test
from eanet.training.range_test import SEARCH, RangeTest
from tests.support.settings import resolved

RATES = np.geomspace(1e-6, 1, 200)


def valley(noise: float, seed: int = 0) -> RangeTest:
    """A loss that falls from 1e-5 on, is lowest at 1e-3 and diverges behind."""
    decades = np.log10(RATES)
    losses = 2 - 0.4 * np.clip(decades + 5, 0, 2) + 2 * np.clip(decades + 3, 0, None) ** 2
    return RangeTest(RATES, losses + noise * np.random.default_rng(seed).normal(size=200))


def test_half_of_where_the_loss_is_lowest() -> None:
    found = valley(0)
    assert found.rates[found.lowest] == pytest.approx(1e-3, rel=0.3)
    assert found.suggestion == pytest.approx(found.rates[found.lowest] / 2, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_it_is_found_whatever_the_noise(noise: float, seed: int) -> None:
    assert 1.5e-4 < valley(noise, seed).suggestion < 1.2e-3


@pytest.mark.parametrize(
    ("last", "falling"), [(1e9, 50), (math.nan, 50), (math.inf, 50), (math.nan, 0), (math.inf, 0)]
)
def test_the_search_ends_where_the_loss_diverges(
    monkeypatch: pytest.MonkeyPatch, last: float, falling: int
) -> None:
    class Falling:
        """A loss that falls for some steps, and is then ``last``."""

        optimizer, batches = torch.optim.AdamW([torch.zeros(1)]), range(1000)

        def __init__(self, *_: object) -> None:
            self.steps = 0

        def __call__(self, epoch: int, step: int) -> torch.Tensor:
            self.steps += 1
            return torch.tensor([2 - self.steps / 50 if self.steps <= falling else last, 0, 0, 1])

    monkeypatch.setattr(lr_search, "Updates", Falling)
    found = range_test(resolved(), None, Fabric(accelerator="cpu"), torch.nn.Linear(1, 1))
    assert len(found.losses) == falling
    assert np.isfinite(found.losses).all()


def test_a_loss_that_never_falls_is_no_answer() -> None:
    flat = RangeTest(RATES, 2 + 0.1 * np.random.default_rng(0).normal(size=200) + RATES)
    with pytest.raises(EanetError, match=r"no learning rate from 1e-06 to 1 .*--learning-rate"):
        _ = flat.suggestion


def test_a_loss_that_is_infinite_at_once_is_no_answer() -> None:
    with pytest.raises(EanetError, match=r"no learning rate from 1e-06 to 1 .*--learning-rate"):
        _ = RangeTest(RATES[:0], RATES[:0]).suggestion


def test_what_was_tried_reads_back_and_is_drawn(tmp_path: Path) -> None:
    test = valley(0.1)
    test.write(tmp_path / SEARCH)
    again = RangeTest.read(tmp_path / SEARCH)
    np.testing.assert_allclose(again.losses, test.losses, rtol=1e-5)
    assert again.suggestion == test.suggestion
    picture = plot_range_test(again, again.suggestion, tmp_path / "x.png", title="Tried")
    assert picture.stat().st_size > 5000


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> eanet.TrainingResult:
    return eanet.train(
        "digits", model="vit:depth=1,dim=16", epochs=1, learning_rate="find", precision="fp32",
        threads=1, output=tmp_path_factory.mktemp("runs"), name="found",
    )  # fmt: skip


def test_a_run_trains_with_what_was_found_and_keeps_the_search(searched) -> None:
    from eanet.training.run_directory import RunDirectory

    config = RunDirectory.open(searched.path).read_config()
    found = RangeTest.read(searched.path / SEARCH)
    assert config.settings.learning_rate == "find"
    assert config.resolved.learning_rate == found.suggestion
    assert 1e-4 < found.suggestion < 0.1
    assert searched.path / "learning_rate.png" in searched.files
    assert "loss by learning rate" in (searched.path / "report.html").read_text("utf-8")


def test_the_search_changes_nothing_but_the_rate(searched, tmp_path: Path) -> None:
    """The same run, told the rate that was found, ends with the same weights to the bit."""
    rate = RangeTest.read(searched.path / SEARCH).suggestion
    told = launch(
        TrainSettings.with_recipe(
            data="digits", model="vit:depth=1,dim=16", epochs=1, learning_rate=rate,
            precision="fp32", threads=1, output=tmp_path,
        )
    )  # fmt: skip
    evaluated, trained = (
        eanet.load_model(path).state_dict() for path in (searched.path, told.path)
    )
    # The evaluation of the first has given it a detector of unknown images, and changed nothing.
    assert all(torch.equal(evaluated[name], tensor) for name, tensor in trained.items())
    assert not (told.path / SEARCH).exists()
