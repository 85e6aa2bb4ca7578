"""Whether memory grows when a cell of a notebook that trains is run again and again.

    python -m benchmarks.notebook_memory

Trains on the digits, evaluates, draws, explains and predicts in one process, ten times, and prints
the memory in use after each.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import psutil

import eanet
from eanet.device import trim_memory

RUNS = 10
MOST_GROWTH = 1.05  # of the memory after the second run, in which everything is imported
MODEL = "keras_mlp:num_transformer_blocks=1"


def memory_after_runs(data: str | Path = "digits", runs: int = RUNS, epochs: int = 1) -> list[int]:
    """Return the bytes in use after each of so many runs."""
    used = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs):
            result = eanet.train(
                data, model=MODEL, epochs=epochs, output=folder, compile="off", threads=1
            )
            result._repr_html_()
            images = eanet.load_dataset(data).test.images[:3]
            eanet.explain(result, images)
            eanet.load(result, runtime="torch").predict(images)._repr_html_()
            del result, images
            gc.collect()
            trim_memory()
            used.append(psutil.Process().memory_info().rss)
    return used


def main() -> None:
    """Print the memory after each run."""
    used = memory_after_runs()
    for number, size in enumerate(used, 1):
        print(f"after run {number:>2}: {size / 2**20:,.0f} MiB")
    growth = used[-1] / used[1]
    verdict = "grows no more than it may" if growth <= MOST_GROWTH else "GROWS"
    print(f"run {len(used)} over run 2: {growth - 1:+.1%}; {verdict}")


if __name__ == "__main__":
    main()
