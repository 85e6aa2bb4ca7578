"""The page of a comparison: its tables, and the two markers that they stand between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.comparison import (
    EANET,
    FIGURES,
    LATENCY,
    RIVALS,
    Key,
    Record,
    Row,
    key,
    losses,
    mebibytes,
    overall,
    peaks,
    targets,
)
from eanet.errors import EanetError

BEGIN, END = "<!-- begin: written by make benchmark -->", "<!-- end: written by make benchmark -->"
MODELS = {"eanet": "keras_eanet", "vit": "keras_vit"}
NAMES = {"training": "training", "prediction": "batches", "latency_ms": "one image"}


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; all columns but the first are right-aligned."""
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def target_table(rows: Sequence[Row]) -> Iterator[str]:
    """Return the lines of a table of figures and their targets."""

    def mark(row: Row, value: float | None) -> str:
        return "" if value is None else f"{value:g} {row.unit}"

    lines = [
        (
            row.figure,
            f"**{number(row.value)} {row.unit}**",
            row.how,
            ("at most " if (row.aim or 0) < (row.least or 0) else "") + mark(row, row.least),
            mark(row, row.aim),
            row.verdict,
        )
        for row in rows
    ]
    return table(("figure", "measured", "how", "asked", "aim", ""), lines)


def figure_table(records: Sequence[Record], network: str) -> Iterator[str]:
    """Tabulate every contender: median, 5th and 95th percentile, each as median over the rounds."""

    def cell(who: Key, figure: str) -> str:
        spreads = [
            r[figure] for r in records if r["network"] == network and key(r) == who and figure in r
        ]
        if not spreads:
            return "" if who[0] in (EANET, *RIVALS) else "cannot be compiled"
        middle, low, high = (median(s[part] for s in spreads) for part in ("median", "low", "high"))
        calls = sum(s["n"] for s in spreads)
        return f"{number(middle)} ({number(low)} to {number(high)}; {calls})"

    memory = peaks(records, network)
    rows = []
    for who in dict.fromkeys(key(r) for r in records if r["network"] == network):
        rounds = {r["round"] for r in records if r["network"] == network and key(r) == who}
        peak = mebibytes(memory[who]) if who in memory else ""
        name = who[0] if who[0] == EANET else f"Keras, {who[0]}"
        rows.append([f"{name}, {who[1]}", *(cell(who, f) for f in FIGURES), peak, str(len(rounds))])
    head = ("", "training, images/s", "prediction, images/s", "one image, ms", "peak MiB", "rounds")
    return table(head, rows)


def loss_lines(records: Sequence[Record]) -> Iterator[str]:
    """Tabulate every figure in which another contender is ahead of eanet."""
    lost = losses(records)
    if not lost:
        yield "Nowhere, of what was measured."
        return
    rows = []
    for loss in lost:
        unit = "ms" if loss.figure == LATENCY else "images/s"
        theirs, ours = (
            overall(records, loss.network, who, loss.figure) for who in (loss.who, loss.ours)
        )
        how = f"{number(theirs)} against {number(ours)} {unit} ({loss.ours[1]})"
        what = f"`{MODELS[loss.network]}`, {NAMES[loss.figure]}"
        rows.append((what, ", ".join(loss.who), f"{loss.times:.2f}", how))
    yield from table(("", "who", "times as fast as eanet", "how"), rows)


def profile_table(profile: Mapping[str, Any]) -> Iterator[str]:
    """Tabulate where a step's time goes, largest share first."""
    shares = sorted(profile["shares"].items(), key=lambda item: -item[1])
    return table(("kind of work", "share"), [(kind, f"{share:.0%}") for kind, share in shares])


def generated(result: Mapping[str, Any]) -> str:
    """Return the part of the page that a run writes."""
    records, about = result["records"], result["about"]
    hardware, versions = about["hardware"], sorted(result["versions"].items())
    lines = [
        f"Measured on {about['date'][:10]} with {hardware['threads']} threads of "
        f"{hardware['processor']}; "
        f"{', '.join(map(' '.join, versions))}. "
        f"{result['seconds']:g} seconds for each figure in each round; "
        f"{result['minutes']:.0f} minutes in all.",
        "",
    ]
    if result["quick"]:
        lines += ["**A quick run, to see that everything works: not to be quoted.**", ""]
    lines += [f"Left out, since it failed: {who}.\n" for who in result.get("failures", ())]
    lines += [*target_table(targets(records)), ""]
    for network, name in MODELS.items():
        lines += [f"### `{name}`", "", *figure_table(records, network), ""]
    lines += ["### Where others are faster", "", *loss_lines(records), ""]
    lines += ["### Where a training step goes", "", *profile_table(result["profile"])]
    return "\n".join(lines)


def replace_generated(page: str, text: str) -> str:
    """Return the page with a new generated part between its markers.

    Raises:
        EanetError: the page does not have exactly one of each marker, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in before + after:
        raise EanetError(f"the page must have one line {BEGIN} and below it one line {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
