"""What the figures of a comparison mean, and what may be concluded from them, in words."""

from __future__ import annotations

from collections.abc import Sequence

from eanet.evaluation.compare_entries import Entry, differing


def signed(share: float) -> str:
    """A difference of accuracies, in points: +1.20 or -0.35."""
    return f"{100 * share:+.2f}"


def conclusion(entries: Sequence[Entry]) -> str:
    """What may be concluded and what not, in one sentence."""
    first, *others = entries
    compared = [entry for entry in others if entry.difference is not None]
    if not compared:
        return "There are no two models with runs of the same seed, so nothing is compared."
    parts = []
    for verb, chosen in (
        ("better", [e for e in compared if _shown(e) > 0]),
        ("worse", [e for e in compared if _shown(e) < 0]),
    ):
        if chosen:
            by = _join([f"{e.name} ({signed(_mean(e))} points)" for e in chosen], "and")
            parts.append(f"{by} {_be(chosen)} {verb} than {first.name}")
    if open_ := [entry.name for entry in compared if not _shown(entry)]:
        parts.append(
            f"between {first.name} and {_join(open_, 'or')} no difference is shown, which does not "
            "mean that there is none"
        )
    seeds = max(entry.difference.seeds for entry in compared if entry.difference is not None)
    if seeds == 1:
        limit = (
            "from one seed each, this is about these trained networks on images like the test "
            "images, and says nothing about which model is better with another seed"
        )
    else:
        limit = "this holds for these data and this recipe, not for others"
    text = "; ".join([*parts, limit]) + "."
    return text[0].upper() + text[1:] if parts[0].startswith("between") else text


def _mean(entry: Entry) -> float:
    return entry.difference.mean if entry.difference is not None else 0.0


def _shown(entry: Entry) -> float:
    """The difference, or 0 where chance explains it."""
    return _mean(entry) if entry.difference is not None and entry.difference.is_shown else 0.0


def _be(entries: Sequence[Entry]) -> str:
    return "is" if len(entries) == 1 else "are"


def _join(names: Sequence[str], word: str) -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def caption(entries: Sequence[Entry]) -> str:
    """How the figures of the table were found, and by which test."""
    first, *others = entries
    runs = next(entry.runs for entry in entries if entry.runs)
    images = len(runs[0].answers.right[1])
    text = [
        f"Top-1 and top-5 in % of the same {images:,} test images, by the weights each run kept."
    ]
    if (seeds := max(len(entry.runs) for entry in entries)) > 1:
        text.append(f"Means of {seeds} seeds ± standard deviation.")
    pairs = {entry.difference.seeds for entry in others if entry.difference is not None}
    if pairs:
        text.append(f"Difference: top-1 less that of {first.name}, in points.")
    if 1 in pairs:
        text.append("p of one seed: McNemar's exact test on the answers to the same images.")
    if pairs - {1}:
        text.append(
            "In parentheses, its 95% t interval and p over seeds: runs of the same seed are a "
            "pair, and both the seeds and the test images count as drawn by chance."
        )
    if len(others) > 1 and pairs:
        text.append("Each test stands alone: of 20, one finds a difference where there is none.")
    text.append(
        "Training time holds validation and compiling; images/s is that of the median epoch; "
        "memory is the peak of the process that trains, or of its tensors on a GPU."
    )
    return " ".join(text)


def notes(entries: Sequence[Entry]) -> list[str]:
    """What people should know besides: failed runs, and conditions that were not the same."""
    found = [
        f"{failure.model}, seed {failure.seed} failed: {failure.reason}"
        for entry in entries
        for failure in entry.failures
    ]
    if others := differing(entries):
        found.append(f"The runs differ in more than their models: {'; '.join(others)}.")
    return found
