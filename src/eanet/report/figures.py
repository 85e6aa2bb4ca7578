"""The most important figures of an evaluation, for a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eanet.metrics.evaluation import MANY_CLASSES
from eanet.metrics.intervals import note_of_guess, of_groups
from eanet.pages.notebook import Figure


def in_words(metrics: Mapping[str, float | int]) -> str:
    """Return the accuracy with its 95 % interval in a few words."""
    low, high = metrics["top1_low"], metrics["top1_high"]
    return f"top-1 {metrics['top1']:.1%} ({low:.1%} to {high:.1%}) {_of_images(metrics)}"


def accuracy_figures(metrics: Mapping[str, float | int]) -> Iterator[Figure]:
    """Yield the accuracies with their intervals, and what they are to be compared with."""
    for k in (1, 5) if metrics["classes"] >= MANY_CLASSES else (1,):
        low, high = metrics[f"top{k}_low"], metrics[f"top{k}_high"]
        note = f"95% interval {low:.1%} to {high:.1%} {_of_images(metrics)}"
        yield Figure(f"Top-{k} accuracy", f"{metrics[f'top{k}']:.1%}", note, (low, high))
    guess = f"{metrics['majority_baseline']:.1%}"
    yield Figure("Always guessing", guess, f"the largest class{note_of_guess(metrics)}")


def _of_images(metrics: Mapping[str, float | int]) -> str:
    return f"of {metrics['images']:,} images{of_groups(metrics)}"
