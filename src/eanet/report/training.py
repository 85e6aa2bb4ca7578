"""The section of a report's page on how, where and when the model was trained."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from eanet.pages.page import fact_list
from eanet.pages.svg import inline_svg
from eanet.plots.curves import ACCURACY, LOSS, plot_curves
from eanet.plots.lr_search import plot_range_test
from eanet.report.report import Training


def training_section(training: Training) -> str:
    """Return HTML of curves, learning-rate search, where and when it was trained, and settings."""
    draw = partial(plot_curves, training.history, best_epoch=training.best_epoch)
    charts = [
        inline_svg(partial(draw, panels=[panel]), f"{panel.name} by epoch")
        for panel in (LOSS, ACCURACY)
        if training.history
    ]
    if training.search is not None:
        search = partial(plot_range_test, training.search, training.settings["learning_rate"])
        charts.append(inline_svg(search, "loss by learning rate, before the training"))
    settings = {name.replace("_", " "): value for name, value in training.settings.items()}
    return (
        f'<div class="columns">{"".join(f"<div>{chart}</div>" for chart in charts)}</div>\n'
        f"{fact_list(_circumstances(training))}\n"
        f"<details><summary>All settings</summary>\n{fact_list(settings.items())}\n</details>"
    )


def _circumstances(training: Training) -> Iterator[tuple[str, Any]]:
    history, there, settings = training.history, training.environment, training.settings
    for split, count in training.config["data"].get("images", {}).items():
        yield f"{split} images", f"{count:,}"
    if history:
        best = f", best {training.best_epoch}" if training.best_epoch is not None else ""
        minutes = settings.get("minutes")
        limit = f" of {settings['epochs']}" if minutes is None else f" in {minutes:g} minutes"
        yield "epochs", f"{len(history)}{limit}{best}"
        yield "time", timedelta(seconds=round(sum(row.get("seconds", 0.0) for row in history)))
    if "date" in there:
        yield "date", str(there["date"])[:10]
    for name in ("gpu", "processor", "cores"):
        if name in there:
            yield name, there[name]
    for name in ("device", "precision", "threads"):
        yield name, settings.get(name)
    for name, version in (("eanet", "eanet"), ("torch", "PyTorch"), ("python", "Python")):
        if name in there:
            yield version, there[name]
    if "platform" in there:
        yield "system", there["platform"]
