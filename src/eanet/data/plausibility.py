"""What all images of a set share can be wrong, too: checks of whole sets.

A check yields a finding for each thing that could make a result worse, or look better, than it is,
with the option that changes it. What is found while files are read is in the splits already; what
depends on how the splits are completed is found there (`eanet.data.held_out`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import replace

import numpy as np

from eanet.data.evenly import evenly
from eanet.data.findings import Finding
from eanet.data.levels import Depth, central_range
from eanet.data.splits import SourceSplits
from eanet.text import some

SAMPLE = 200  # images looked at, spread evenly over the training images
LEAST_SPAN = 16  # of 256 levels in the median image; in photographs, it is about 200
UNEQUAL = 1.5  # images of the largest class for one of the smallest
MANY = 0.01  # share of the images
NAMED = 3  # classes


def with_findings(splits: SourceSplits) -> SourceSplits:
    """Return the splits with the findings of all checks."""
    found = (finding for check in CHECKS for finding in check(splits))
    return replace(splits, findings=(*splits.findings, *found))


def few_levels(splits: SourceSplits) -> Iterator[Finding]:
    """Find sets of which the median image is nearly of one shade: deep images, wrongly read."""
    train = splits.train
    if _blank(splits) or not len(train):
        return
    rows = evenly(range(len(train)), SAMPLE)
    spans = [np.ptp(np.quantile(train.images[row], (0.001, 0.999))) for row in rows]
    span = round(float(np.median(spans)))
    if span >= LEAST_SPAN:
        return
    depths = _depths(splits)
    remedy = (
        "look at them with eanet datasets DATA --output FOLDER, and convert colour files of 16 "
        "bits, of which only the upper 8 are read"
    )
    if depths:
        low, high = central_range(depths)
        remedy = f"--levels {low:.9g},{high:.9g} spreads what most of their pixels use"
    yield Finding(
        f"few grey levels are left: the median image spans {span + 1} of 256", "levels", remedy
    )


def clipped_levels(splits: SourceSplits) -> Iterator[Finding]:
    """Find deep images with values beyond the range that was found in a sample, or given."""
    levels = splits.preprocessing.levels
    depths = _depths(splits)
    if levels is None or not depths:
        return
    beyond = [d for d in depths if d.central_low < levels[0] or d.central_high > levels[1]]
    if len(beyond) > MANY * len(depths):
        low, high = min(d.low for d in depths), max(d.high for d in depths)
        yield Finding(
            f"{len(beyond):,} of {len(depths):,} deep images hold values beyond "
            f"{levels[0]:g} to {levels[1]:g}, which are clipped",
            "levels",
            f"--levels {low:.9g},{high:.9g} keeps all",
        )


def _depths(splits: SourceSplits) -> tuple[Depth, ...]:
    return () if splits.originals is None else splits.originals.depths


def transparent(splits: SourceSplits) -> Iterator[Finding]:
    """Find images whose every pixel is fully transparent."""
    if splits.originals is None or not splits.originals.clear:
        return
    count = f"{splits.originals.clear:,} of {len(splits.originals.modes):,} images"
    yield Finding(
        f"{count} are fully transparent",
        "",
        "their colours are used as if they were opaque; if they should be blank, remove them",
    )


def one_colour(splits: SourceSplits) -> Iterator[Finding]:
    """Find sets of which most images show nothing."""
    if count := _blank(splits):
        yield Finding(f"{count:,} images are of a single colour", "", "look at what was read")


def _blank(splits: SourceSplits) -> int:
    """Return the number of images of a single colour, if they are the majority."""
    originals = splits.originals
    if originals is None or originals.blank <= len(originals.modes) / 2:
        return 0
    return originals.blank


def unequal_classes(splits: SourceSplits) -> Iterator[Finding]:
    """Find classes of unequal size, with what always guessing the largest would reach."""
    counts, classes = splits.train.counts(), splits.train.classes
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] < UNEQUAL * counts[small]:
        return
    share = counts[large] / counts.sum()
    most, least = (f"{counts[i]:,} of {classes[i]!r}" for i in (large, small))
    yield Finding(
        f"unequal classes: {most}, {least} training images; always guessing {classes[large]!r} is "
        f"right for {share:.1%} of them",
        "balance",
        "--balance loss or --balance sampling weights all classes alike",
    )


def several_labels(splits: SourceSplits) -> Iterator[Finding]:
    """Find names made of names of other classes, as where an image shows several things."""
    names = set(splits.train.classes)
    if joined := [name for name in splits.train.classes if _joins(name, names)]:
        yield Finding(
            f"classes named after several others: {some([*map(repr, joined)], NAMED)}",
            "",
            "an image has one class here; if these are several labels, keep one",
        )


def _joins(name: str, names: Set[str]) -> bool:
    """Whether a name consists of several others, with one of the usual marks between them."""
    split = ({part.strip() for part in name.split(mark)} for mark in " ,;|")
    return any(len(parts) > 1 and parts <= names for parts in split)


Check = Callable[[SourceSplits], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    few_levels,
    clipped_levels,
    transparent,
    one_colour,
    unequal_classes,
    several_labels,
)
