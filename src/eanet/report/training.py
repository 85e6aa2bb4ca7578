"""The section of a report's page on how, where and when the model was trained."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from eanet.plots.curves import ACCURACY, LOSS, plot_curves
from eanet.plots.lr_search import plot_range_test
from eanet.plots.svg import inline_svg
from eanet.report.report import Training


def training_context(training: Training) -> dict[str, Any]:
    """Return what ``training.html`` shows: charts, where and when it was trained, settings."""
    draw = partial(plot_curves, training.history, best_epoch=training.best_epoch)
    charts = [
        inline_svg(partial(draw, panels=[panel]), f"{panel.name} by epoch")
        for panel in (LOSS, ACCURACY)
        if training.history
    ]
    if training.search is not None:
        search = partial(plot_range_test, training.search, training.config.resolved.learning_rate)
        charts.append(inline_svg(search, "loss by learning rate, before the training"))
    settings = training.config.resolved.model_dump(mode="json")
    return {
        "charts": charts,
        "circumstances": list(_circumstances(training)),
        "settings": [(name.replace("_", " "), value) for name, value in settings.items()],
    }


def _circumstances(training: Training) -> Iterator[tuple[str, Any]]:
    history, config = training.history, training.config
    environment, settings = config.environment, config.resolved
    for split, count in config.data.images.items():
        yield f"{split} images", f"{count:,}"
    if history:
        best = f", best {training.best_epoch}" if training.best_epoch is not None else ""
        minutes = settings.minutes
        limit = f" of {settings.epochs}" if minutes is None else f" in {minutes:g} minutes"
        yield "epochs", f"{len(history)}{limit}{best}"
        yield "time", timedelta(seconds=round(sum(row.get("seconds", 0.0) for row in history)))
    computing: dict[str, Any] = {
        "date": environment.date and environment.date[:10],
        "gpu": environment.gpu,
        "processor": environment.processor,
        "cores": environment.cores,
        "device": settings.device,
        "precision": settings.precision,
        "threads": settings.threads,
        "eanet": environment.eanet,
        "PyTorch": environment.torch,
        "Python": environment.python,
        "system": environment.platform,
    }
    yield from ((name, value) for name, value in computing.items() if value is not None)
