"""Many inputs, one after the other."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tools.fuzz.child import OK, Outcome, run_in_child
from tools.fuzz.kinds import Kind


@dataclass(frozen=True)
class Result:
    """What became of an input.

    Attributes:
        kind: of the file.
        number: of the input; with the seed, it makes the same file again.
        outcome: how it ended.
    """

    kind: Kind
    number: int
    outcome: Outcome


def check_seeds(kinds: Sequence[Kind], work: Path) -> list[Result]:
    """Open the valid file of each kind; return those that cannot be read, as they all should."""
    results = [
        Result(kind, -1, _run(kind, kind.seed, work / f"valid {kind.name}")) for kind in kinds
    ]
    return [r for r in results if r.outcome.kind != OK and r.kind.name != "CIFAR"]


def campaign(kinds: Sequence[Kind], inputs: int, seed: int, work: Path) -> Iterator[Result]:
    """Open so many mutated files of all kinds in turn; yield what became of each.

    Args:
        kinds: of files.
        inputs: how many.
        seed: of the mutations.
        work: a folder for the files; that of a finding stays.
    """
    for number in range(inputs):
        kind = kinds[number % len(kinds)]
        data = kind.mutated(Random(f"{seed} {kind.name} {number}"))
        yield Result(kind, number, _run(kind, data, work / str(number)))


def _run(kind: Kind, data: bytes, folder: Path) -> Outcome:
    kind.prepare(folder, data)
    outcome = run_in_child(partial(kind.open, folder), folder)
    if not outcome.is_finding:
        shutil.rmtree(folder)
    return outcome


def table(results: Sequence[Result]) -> str:
    """Format how many inputs of each kind ended in which way."""
    counts = Counter((result.kind.name, result.outcome.kind) for result in results)
    outcomes = sorted({outcome for _, outcome in counts})
    names = sorted({name for name, _ in counts})
    rows = [["kind", "inputs", *outcomes]]
    rows += [
        [name, sum(counts[name, o] for o in outcomes), *(counts[name, o] for o in outcomes)]
        for name in names
    ]
    rows.append(["all", len(results), *(sum(counts[n, o] for n in names) for o in outcomes)])
    return "\n".join(f"{row[0]:<16}" + "".join(f"{cell:>22}" for cell in row[1:]) for row in rows)
