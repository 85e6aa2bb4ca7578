"""The command: see the package."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import eanet
import tools.fuzz
from eanet.text import shown
from tools.fuzz.campaign import campaign, check_seeds, table
from tools.fuzz.kinds import kinds

MODEL = "vit:depth=1,dim=8,heads=2,mlp_dim=8"


def main() -> int:
    """Run the campaign; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=tools.fuzz.__doc__)
    parser.add_argument("--inputs", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--kind", nargs="*", metavar="KIND")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where files of findings stay")
    parser.add_argument("--without-onnx", action="store_true", help="which takes long to export")
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = Path(tempfile.mkdtemp(prefix="eanet-fuzz-")) if options.keep is None else options.keep
    os.environ["EANET_CACHE_DIR"] = str(work / "cache")
    os.environ["EANET_KERNELS"] = "off"
    run, photos = make_run(work)
    (work / "bases").mkdir()
    exported = None if options.without_onnx else eanet.export(run, output=work / "x.onnx").path
    known = kinds(run, photos, work / "bases", exported)
    chosen = [kind for kind in known if options.kind is None or kind.name in options.kind]
    if unread := check_seeds(chosen, work):
        for result in unread:
            print(f"{result.kind.name}: the valid file is not read: {result.outcome.detail}")
        return 1
    results = []
    for result in campaign(chosen, options.inputs, options.seed, work):
        results.append(result)
        if result.outcome.is_finding:
            what, place = result.outcome, work / str(result.number)
            lines = "\n".join(shown(line) for line in what.detail.strip().splitlines()[-6:])
            print(f"{result.kind.name}: {what.kind}; see {place}\n{lines}\n", flush=True)
    print(table(results))
    return int(any(result.outcome.is_finding for result in results))


def make_run(work: Path) -> tuple[Path, Path]:
    """Train a small model on a few images; return its run and their folder."""
    random = np.random.default_rng(0)
    photos = work / "photos"
    for name in ("ant", "bee"):
        (photos / name).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(photos / name / f"{number}.png")
    result = eanet.train(
        photos, model=MODEL, recipe="default", image_size=8, epochs=1, threads=1, output=work,
        name="run", device="cpu", precision="fp32", compile="off",
    )  # fmt: skip
    return result.path, photos


if __name__ == "__main__":
    sys.exit(main())
