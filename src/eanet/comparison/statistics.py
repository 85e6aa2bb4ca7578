"""Compare models statistically by their predictions on the same test images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eanet.metrics.intervals import CONFIDENCE

Right = NDArray[np.bool_]
Groups = NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """How much the accuracy of one model exceeds that of another, as a fraction.

    Attributes:
        mean: over the seeds and test images.
        low: lower end of the 95 % confidence interval; None for a single seed, and if the
            difference is the same on every image.
        high: upper end; None likewise.
        p: probability of a difference at least this large if there is none.
        seeds: number of pairs of runs.
        groups: number of groups that the images were counted by; None: each was by itself.
    """

    mean: float
    low: float | None
    high: float | None
    p: float
    seeds: int
    groups: int | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the difference is significant at 5 %."""
        return self.p < 1 - CONFIDENCE


def difference(first: Right, other: Right, groups: Groups | None = None) -> Difference:
    """Compare paired runs of two models: a single pair by `mcnemar`, more by `over_seeds`.

    Args:
        first: (seeds, images), whether the first model's run of a seed is correct on an image.
        other: (seeds, images) of the other model, in the same order.
        groups: which images belong together, (images,); None: each is by itself.
    """
    if len(first) == 1:
        mean = float(other.mean() - first.mean())
        found = Difference(mean, None, None, mcnemar(first[0], other[0], groups), 1)
    else:
        found = over_seeds(first, other, groups)
    return replace(found, groups=None if groups is None else len(np.unique(groups)))


def _gains(first: Right, other: Right, groups: Groups | None) -> NDArray[np.float64]:
    """Return what the other model gains, (seeds, images), or (seeds, groups) with the same mean."""
    gains: NDArray[np.float64] = other.astype(float) - first  # (seeds, images): -1, 0 or 1
    if groups is None:
        return gains
    _, members = np.unique(groups, return_inverse=True)
    images = gains.shape[1]
    gains = np.stack([np.bincount(members, weights=own) for own in gains])  # (seeds, groups)
    gains *= gains.shape[1] / images
    return gains


def mcnemar(first: Right, other: Right, groups: Groups | None = None) -> float:
    """Return the two-sided p-value of McNemar's exact test that two networks are equally accurate.

    McNemar (1947), "Note on the Sampling Error of the Difference Between Correlated Proportions or
    Percentages", with the binomial distribution itself. Images that both or neither get right tell
    nothing; of the rest, each network should get half right. The test is about these two networks
    on other images like these, not about the models with other seeds. Images of a group are one:
    what a group gains could as well have been lost (Fisher, 1935, "The Design of Experiments",
    section 21), which is the same test where each image is by itself.

    Args:
        first: (images,).
        other: (images,).
        groups: as for `difference`.
    """
    from scipy.stats import binom

    gains = other.astype(np.int64) - first  # (images,): -1, 0 or 1
    if groups is not None:
        _, members = np.unique(groups, return_inverse=True)
        gains = np.rint(np.bincount(members, weights=gains)).astype(np.int64)  # (groups,)
    sizes = np.abs(gains)
    alone = int((sizes == 1).sum())
    chances = binom.pmf(np.arange(alone + 1), alone, 0.5)  # of so many gained together
    for size in sizes[sizes > 1].tolist():
        gained = np.concatenate([np.zeros(size), chances])
        gained[: len(chances)] += chances
        chances = gained / 2
    sums = 2 * np.arange(len(chances)) - sizes.sum()
    return min(1.0, float(chances[np.abs(sums) >= abs(gains.sum())].sum()))


def over_seeds(first: Right, other: Right, groups: Groups | None = None) -> Difference:
    """Return the mean difference, its t interval and p-value, for new seeds and new images.

    Seeds and images are random effects of a two-way layout without replication: Hillis (2007), "A
    comparison of denominator degrees of freedom methods for multiple observer ROC analysis", with
    seeds for observers. Without an effect of the images, this is the paired t interval over seeds.
    Their effect has a degree of freedom less than there are images, which few images make felt.
    With one, the images add to the variance; otherwise, three seeds that happen to agree would be
    certain of what a few images decide. No variance is taken to be below 0, that of the seeds
    included, which keeps the test at its 5 % for as few as two seeds. Images of a group are one:
    their sum.

    Args:
        first: (seeds, images), of two or more seeds.
        other: (seeds, images).
        groups: as for `difference`.
    """
    from scipy.stats import t

    gains = _gains(first, other, groups)
    seeds, images = gains.shape
    by_seed, by_image, mean = gains.mean(axis=1), gains.mean(axis=0), float(gains.mean())
    rest = gains - by_seed[:, None] - by_image + mean
    # Mean squares
    of_rest = float((rest**2).sum()) / max((seeds - 1) * (images - 1), 1)
    of_seeds = images * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    of_images = seeds * float(((by_image - mean) ** 2).sum()) / max(images - 1, 1)
    of_seeds, effect = max(of_seeds, of_rest), max(of_images - of_rest, 0.0)
    if not (square := of_seeds + effect):  # one difference on every image
        return Difference(mean, None, None, mcnemar(first[0], other[0], groups), seeds)
    error = math.sqrt(square / gains.size)
    freedom = square**2 / (of_seeds**2 / (seeds - 1) + effect**2 / max(images - 1, 1))
    reach = float(t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    p = 2 * float(t.sf(abs(mean) / error, freedom))
    return Difference(mean, max(mean - reach, -1.0), min(mean + reach, 1.0), p, seeds)
