"""Fine-tuning that leaves most of the weights as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import eanet
from eanet.config import TrainSettings
from eanet.training import prepare
from eanet.training.launch import launch
from eanet.training.resume import resume

IMAGES = 27  # of `photos`, for training
QUICKLY = {"image_size": 16, "compile": "off", "precision": "fp32", "threads": 1}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


@pytest.mark.parametrize("freeze", ["trunk", "all-but-memories"])
def test_only_what_is_not_frozen_changes(
    freeze: str, photos: Path, trained: eanet.TrainingResult, tmp_path: Path
) -> None:
    settings = {"init": trained.path, "freeze": freeze, "output": tmp_path, **QUICKLY}
    run = launch(TrainSettings.with_recipe(data=str(photos), epochs=2, **settings))
    before, after = weights(trained.path), weights(run.path)
    learned = {name for name in after if not torch.equal(before[name], after[name])}
    statistics = {name for name in learned if "running" in name or "num_batches" in name}
    assert statistics, "batch normalisation is fitted to the images"
    memories = {name for name in learned if "memory" in name}
    assert bool(memories) == (freeze == "all-but-memories")
    others = learned - statistics - memories
    expected = ("head.",) if freeze == "trunk" else ("head.", "norm.", "blocks.7.")
    assert {"head.weight", "head.bias"} <= others
    assert all(name.startswith(expected) for name in others)
    longer = resume(run.path, epochs=3)
    statistics = {name for name in after if "running" in name}
    assert all(torch.equal(weights(longer.path)[name], after[name]) for name in statistics)


def test_every_image_counts_about_alike_in_the_statistics(
    photos: Path, trained: eanet.TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(_: object, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> None:
        sizes.extend(len(labels) for _, labels in batches)

    sizes: list[int] = []
    monkeypatch.setattr(prepare, "refit_statistics", keep)
    monkeypatch.setattr(prepare, "STATISTICS_BATCH", IMAGES - 1)
    settings = {"init": trained.path, "freeze": "trunk", "output": tmp_path, **QUICKLY}
    launch(TrainSettings.with_recipe(data=str(photos), epochs=1, **settings))
    assert sizes == [-(-IMAGES // 2), IMAGES // 2], "a batch counts alike, whatever its size"


def test_the_statistics_are_those_of_all_images_and_not_of_one_class_at_a_time(
    photos: Path, trained: eanet.TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(_: object, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> None:
        counts.extend(labels.bincount(minlength=3).tolist() for _, labels in batches)

    counts: list[list[int]] = []
    monkeypatch.setattr(prepare, "refit_statistics", keep)
    monkeypatch.setattr(prepare, "STATISTICS_BATCH", IMAGES // 3)
    settings = {"init": trained.path, "freeze": "trunk", "output": tmp_path, **QUICKLY}
    launch(TrainSettings.with_recipe(data=str(photos), epochs=1, **settings))
    assert counts == [[3, 3, 3]] * 3


def test_random_weights_are_not_frozen(refused: Callable, photos: Path) -> None:
    code, line = refused("train", photos, "--init", "none", "--freeze", "trunk")
    assert code == 2
    assert "freeze=trunk: random weights would stay random" in line
