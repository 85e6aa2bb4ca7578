"""Which value of a setting suits several data sets? Judged by validation images alone.

    python -m benchmarks.choice DATA... --setting image_size --values 64 96 128 [--seeds 3]
    python -m benchmarks.choice DATA... --setting freeze --values off trunk all-but-memories

Printed as Markdown: the validation accuracy of the last epoch (the best would flatter), as the mean
over the seeds and its standard deviation, and the seconds of training. `--and NAME=VALUE` sets
others, for all alike.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from eanet.config import TrainSettings
from eanet.training.launch import launch


def train(data: str, folder: Path, **settings: str | int) -> tuple[float, float]:
    """Return the last validation accuracy of a run and the seconds that it took."""
    run = launch(TrainSettings.with_recipe(data=data, output=str(folder), **settings))
    rows = run.read_history("val_accuracy", "seconds")
    return rows[-1]["val_accuracy"], sum(row["seconds"] for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--setting", required=True)
    parser.add_argument("--values", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--and", dest="others", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    others = dict(pair.split("=", 1) for pair in options.others)
    lines = [f"| {options.setting} | {' | '.join(Path(d).stem for d in options.data)} |"]
    lines.append("|---" * (1 + len(options.data)) + "|")
    for value in options.values:
        cells = []
        for data in options.data:
            own = others | {options.setting: value}
            with TemporaryDirectory() as folder:
                found = [
                    train(data, Path(folder), **own, seed=seed) for seed in range(options.seeds)
                ]
            accuracy, seconds = np.array(found).T
            spread = f" ± {100 * accuracy.std(ddof=1):.1f}" if len(found) > 1 else ""
            cells.append(f"{100 * accuracy.mean():.1f}{spread} %, {seconds.mean():.0f} s")
        lines.append(f"| {value} | {' | '.join(cells)} |")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
