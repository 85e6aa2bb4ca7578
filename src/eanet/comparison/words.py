"""Explain in words what the figures of a comparison mean and what may be concluded."""

from __future__ import annotations

from collections.abc import Sequence

from eanet.comparison.entries import Entry, format_differing
from eanet.metrics.evaluation import MANY_CLASSES


def signed(share: float) -> str:
    """Format a difference of accuracies in percentage points, such as +1.20 or -0.35."""
    return f"{100 * share:+.2f}"


def conclusion(entries: Sequence[Entry]) -> str:
    """State what may be concluded and what not, in one sentence."""
    first, *others = entries
    compared = [entry for entry in others if entry.difference is not None]
    if not others:
        return "There is only one model, so nothing is compared."
    if not compared:
        return f"No other model has a run of the same seed as {first.name}: nothing is compared."
    parts = []
    for verb, shown in (
        ("better", [e for e in compared if _shown(e) > 0]),
        ("worse", [e for e in compared if _shown(e) < 0]),
    ):
        if shown:
            by = _join([f"{e.name} ({signed(_mean(e))} points)" for e in shown], "and")
            parts.append(f"{by} {_be(shown)} {verb} than {first.name}")
    if open_ := [entry.name for entry in compared if not _shown(entry)]:
        parts.append(
            f"no difference is shown between {first.name} and {_join(open_, 'or')}, which does not "
            "mean that there is none"
        )
    if apart := [entry.name for entry in others if entry.difference is None]:
        parts.append(f"{_join(apart, 'and')} and {first.name} have no seed in common")
    text = "; ".join([*parts, _limit(compared)]) + "."
    return text[0].upper() + text[1:] if parts[0].startswith("no difference") else text


def _limit(compared: Sequence[Entry]) -> str:
    """Say what a conclusion does not reach to."""
    single = [e.name for e in compared if e.difference is not None and e.difference.seeds == 1]
    networks = "compares these trained networks on images like the test images, not the models"
    if len(single) == len(compared):
        return f"with one seed each, this {networks} with other seeds"
    limit = "this holds for these data and this recipe, not for others"
    if not single:
        return limit
    return f"{limit}; of {_join(single, 'and')}, with one pair of runs, it {networks}"


def _mean(entry: Entry) -> float:
    return entry.difference.mean if entry.difference is not None else 0.0


def _shown(entry: Entry) -> float:
    """Return the difference, or 0 if it is not significant."""
    return _mean(entry) if entry.difference is not None and entry.difference.is_shown else 0.0


def _be(entries: Sequence[Entry]) -> str:
    return "is" if len(entries) == 1 else "are"


def _join(names: Sequence[str], word: str) -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def caption(entries: Sequence[Entry]) -> str:
    """State how the figures of the table were obtained, and by which test."""
    first, *others = entries
    runs = next(entry.runs for entry in entries if entry.runs)
    images = len(runs[0].predictions.correct[1])
    many = len(runs[0].config.data.classes) >= MANY_CLASSES
    text = [
        f"Top-1{' and top-5' if many else ''} in % of the same {images:,} test images, with the "
        "weights each run kept."
    ]
    counts = [len(entry.runs) for entry in entries if entry.runs]
    if max(counts) > 1:
        seeds = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
        text.append(f"Means of {seeds} seeds ± standard deviation.")
    pairs = {entry.difference.seeds for entry in others if entry.difference is not None}
    if pairs:
        text.append(f"Difference: top-1 minus that of {first.name}, in points.")
    counted = {entry.difference.groups for entry in others if entry.difference is not None}
    groups = counted - {None}
    if 1 in pairs:
        test = "Fisher's randomisation test" if groups else "McNemar's exact test"
        text.append(f"p of one seed: {test} on the predictions for the same images.")
    if pairs - {1}:
        text.append(
            "In parentheses, its 95% t interval; p is of the t test. Both are over seeds: runs of "
            "the same seed are paired, and seeds and test images both count as random."
        )
    if groups:
        text.append(f"Images of a group count as one: the tests are over {groups.pop():,} groups.")
    if len(others) > 1 and pairs:
        text.append(
            "The tests are not corrected for their number: of 20 between equals, one finds a "
            "difference."
        )
    costs = [
        "Training time includes validation and compiling",
        "images/s is that of the median epoch",
    ]
    if any(entry.peak_memory is not None for entry in entries):
        costs.append("memory is the peak of the process that trains, or of its tensors on a GPU")
    return " ".join([*text, f"{'; '.join(costs)}."])


def notes(entries: Sequence[Entry]) -> list[str]:
    """List what else to know: failed runs, and conditions that differed."""
    lines = [
        f"{failure.model}, seed {failure.seed} failed: {failure.reason}"
        for entry in entries
        for failure in entry.failures
    ]
    tested = [run.predictions for entry in entries for run in entry.runs]
    if any(own.left_out for own in tested):
        counts = sorted({len(own.keys) + own.left_out for own in tested})
        lines.append(
            f"Only the {len(tested[0].keys):,} images count that all runs were tested on, with "
            f"the same label: single runs were tested on {' or '.join(f'{n:,}' for n in counts)}."
        )
    starts = {run.entrant is not None for entry in entries for run in entry.runs}
    if len(starts) == 2:
        lines.append(
            "Some runs begin with trained weights and others with random ones: differences between "
            "them are also ones of what was learned before."
        )
    pairs = [
        f"{entry.name} {entry.difference.seeds}"
        for entry in entries[1:]
        if entry.difference is not None
        and entry.difference.seeds < max(len(entry.runs), len(entries[0].runs))
    ]
    if pairs:
        lines.append(
            f"Differences are over the seeds that both models have ({', '.join(pairs)}), so they "
            "are not those of the means."
        )
    if others := format_differing(entries):
        lines.append(f"The runs differ in more than their models: {'; '.join(others)}.")
    return lines
