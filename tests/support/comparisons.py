"""What the tests of comparisons share: runs made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eanet.comparison.entries import Entry, group_by_settings
from eanet.comparison.runs import Predictions, Run
from eanet.config import TrainSettings
from eanet.training.run_config import DataRecord, Environment, RunConfig
from tests.support.settings import resolved

DATA = DataRecord(
    name="photos",
    classes=tuple("abcdef"),
    images={"train": 900, "test": 200},
    fingerprint="f",
)
ENVIRONMENT = Environment(processor="some processor", date="2026-11-22T10:00:00")


def make_run(
    model: str = "vit",
    seed: int = 0,
    *,
    accuracy: float = 0.8,
    images: int = 200,
    epochs: int = 4,
    tested: str = "t",
    **settings: object,
) -> Run:
    """A run that is right on the first images, and on a few others by its seed."""
    random = np.random.default_rng(seed)
    right = np.arange(images) < accuracy * images
    right ^= random.random(images) < 0.02
    answers = Predictions(
        tested,
        np.arange(images, dtype=np.uint64),
        1000 * len(model),
        10**6,
        {1: right, 5: right | True},
    )
    history = [
        {
            "epoch": epoch,
            "val_accuracy": accuracy * epoch / epochs,
            "seconds": 2.0,
            "images_per_second": 100.0 * epoch,
        }
        for epoch in range(1, epochs + 1)
    ]
    config = RunConfig(
        settings=TrainSettings(),
        resolved=resolved(model=model, seed=seed, epochs=epochs, **settings),
        data=DATA,
        environment=ENVIRONMENT,
    )
    return Run(Path(f"runs/{model}-{seed}"), config, history, answers, 2**28)


def with_config(run: Run, **changes: object) -> Run:
    """The same run with other records in its configuration."""
    return replace(run, config=run.config.model_copy(update=changes))


def make_entries(accuracies: Sequence[float], seeds: int = 3, **settings: object) -> list[Entry]:
    """Entries of models called vit:depth=1, vit:depth=2, ..."""
    return group_by_settings(
        [
            make_run(f"vit:depth={i}", seed, accuracy=accuracy, **settings)
            for seed in range(seeds)
            for i, accuracy in enumerate(accuracies, 1)
        ]
    )
