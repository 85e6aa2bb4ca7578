"""How many wrong labels are found, and how many right ones are suspected?

    python -m benchmarks.label_suspects [--data digits] [--share 0.05] [--and NAME=VALUE ...]

A share of the labels is swapped for others at random; cross-validation then names suspects. Printed
is how many of the swapped labels are among them and how many of them are swapped, and the same for
the surest, as many as labels were swapped.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import eanet
from eanet.data.source import open_source


def write(data: str, share: float, most: int, folder: Path) -> set[str]:
    """Write images as class folders, some in wrong ones; return the names of these."""
    images = open_source(data).load_splits().train
    random = np.random.default_rng(0)
    rows = np.sort(random.permutation(len(images))[:most])
    wrong = set(random.permutation(rows)[: round(share * len(rows))].tolist())
    for row in rows.tolist():
        label = int(images.labels[row])
        if row in wrong:
            label = (label + int(random.integers(1, len(images.classes)))) % len(images.classes)
        place = folder / images.classes[label] / f"{row}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.images[row]).save(place)
    return {f"{row}.png" for row in wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--most", type=int, default=5000)
    parser.add_argument("--and", dest="others", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    others = dict(pair.split("=", 1) for pair in options.others)
    with TemporaryDirectory() as place:
        wrong = write(options.data, options.share, options.most, Path(place) / "data")
        found = eanet.cross_validate(Path(place) / "data", output=Path(place) / "runs", **others)
        listed = (found.path / "label_suspects.csv").read_text("utf-8").splitlines()[1:]
        suspects = [Path(line.split(",")[0]).name for line in listed]
        accuracy = found.metrics["top1"]
    print(f"top-1 over the folds, by the given labels: {accuracy:.1%}")
    for what, some in (("all suspects", suspects), ("the surest", suspects[: len(wrong)])):
        hits = len(wrong & set(some))
        print(f"{what}: {len(some)}, of which {hits} of {len(wrong)} swapped labels")


if __name__ == "__main__":
    main()
