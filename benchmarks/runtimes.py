"""Prediction with each runtime, beside OpenVINO and ONNX Runtime driven by hand.

    python -m benchmarks.runtimes eanet_tiny keras_eanet keras_vit

All contenders of a figure are measured in turns in one process, each for a moment, so that other
load affects all of them. Shown are the median of the rounds and, for each, how many times as long
as the fastest by hand it takes. With ``--files N``, `eanet predict` also classifies N photographs
of 500 x 375 pixels beside a loop of ONNX Runtime and Pillow, each in a process of its own, start
included. ``--programs`` keeps cores busy meanwhile. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.busy import busy_programs
from benchmarks.compare import ROOT
from benchmarks.performance_page import number, table
from eanet.console import notice
from eanet.deploy.choosing import open_runtime
from eanet.deploy.export.onnx_file import write_onnx
from eanet.deploy.openvino_library import load_openvino
from eanet.deploy.predictor import Predictor
from eanet.deploy.runtime import Pixels
from eanet.models import create_model, save_model
from eanet.threads import available_cpus

BATCH = 128
PHOTOGRAPH = (375, 500, 3)
DIFFERENT = 50  # photographs; the others are copies
LOOP = """
import sys
from pathlib import Path
import numpy as np, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1])
for path in sorted(Path(sys.argv[2]).iterdir()):
    pixels = np.asarray(Image.open(path).convert("RGB"))[None]
    (probabilities,) = session.run(["probabilities"], {"pixels": pixels})
    print(path, probabilities[0].argmax(), probabilities[0].max())
"""
Call = Callable[[], object]


def by_hand(file: Path, size: int, pixels: Pixels, precision: str) -> dict[str, Call]:
    """Return what a user of the two libraries would write, for a batch of this size."""
    import onnxruntime

    core = load_openvino().Core()
    model = core.read_model(file)
    model.reshape([len(pixels), size, size, 3])
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    session = onnxruntime.InferenceSession(str(file))
    return {
        "OpenVINO by hand": lambda: compiled([pixels])["probabilities"],
        "ONNX Runtime by hand": lambda: session.run(["probabilities"], {"pixels": pixels}),
    }


def predictors(folder: Path, precision: Any) -> dict[str, Predictor]:
    """Return a predictor for each runtime that has the precision."""
    opened = {"torch": folder, "openvino": folder, "openvino, file": folder / "model.onnx"}
    if precision == "fp32":
        opened["onnxruntime, file"] = folder / "model.onnx"
    return {
        name: Predictor(open_runtime(where, name.split(",")[0], "cpu", precision))  # type: ignore[arg-type]
        for name, where in opened.items()
    }


def in_turns(calls: Mapping[str, Call], rounds: int, seconds: float) -> dict[str, float]:
    """Return the median over the rounds of each call's median duration, in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call(), call()
    for _ in range(rounds):
        for name, call in calls.items():
            durations: list[float] = []
            begun = time.perf_counter()
            while len(durations) < 3 or time.perf_counter() - begun < seconds:
                before = time.perf_counter()
                call()
                durations.append(time.perf_counter() - before)
            taken[name].append(median(durations))
    return {name: median(values) for name, values in taken.items()}


def measure(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Print the tables of one network."""
    model = create_model(name, num_classes=100).eval()
    save_model(model, folder)
    write_onnx(model, folder / "model.onnx")
    size = model.config.image_size
    many = np.random.default_rng(0).integers(256, size=(BATCH, size, size, 3), dtype=np.uint8)
    ours = predictors(folder, options.precision)
    rows = []
    for pixels, unit in ((many[:1], "one image, ms"), (many, f"batches of {BATCH}, images/s")):
        calls = by_hand(folder / "model.onnx", size, pixels, options.precision)
        hand = list(calls)
        for runtime, predictor in ours.items():
            images = list(pixels)
            calls[f"`Predictor`, {runtime}"] = lambda p=predictor, i=images: p.classify(i)  # type: ignore[misc]
        taken = in_turns(calls, options.rounds, options.seconds)
        best = min(taken[one] for one in hand)
        for who, seconds in taken.items():
            figure = 1000 * seconds if len(pixels) == 1 else BATCH / seconds
            rows.append([f"{unit}: {who}", number(figure), f"{seconds / best:.2f}"])
    print(f"\n`{name}`, {options.precision}\n")
    print("\n".join(table(("", "", "times as long as by hand"), rows)))


def write_photographs(folder: Path, count: int) -> None:
    """Write smooth noise as JPEG, which decodes about as a photograph does."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for index in range(min(count, DIFFERENT)):
        coarse = random.integers(256, size=(38, 50, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize(PHOTOGRAPH[1::-1], Image.Resampling.BICUBIC)
        image.save(folder / f"{index:06}.jpg", quality=90)
    for index in range(DIFFERENT, count):
        content = (folder / f"{index % DIFFERENT:06}.jpg").read_bytes()
        (folder / f"{index:06}.jpg").write_bytes(content)


def measure_files(name: str, options: argparse.Namespace, folder: Path) -> None:
    """Print how long whole processes take to classify files."""
    write_photographs(folder / "photographs", options.files)
    predict = [sys.executable, "-m", "eanet", "predict", "--format=csv", "--top=1"]
    inputs = [str(folder), str(folder / "photographs")]
    exported = [str(folder / "model.onnx"), inputs[1]]
    commands = {
        "ONNX Runtime and Pillow by hand": [sys.executable, "-c", LOOP, *exported],
        "eanet predict RUN": [*predict, *inputs],
        "eanet predict RUN --runtime torch": [*predict, "--runtime=torch", *inputs],
        "eanet predict RUN --runtime openvino": [*predict, "--runtime=openvino", *inputs],
        "eanet predict FILE.onnx": [*predict, *exported],
    }

    taken: dict[str, list[float]] = {who: [] for who in commands}
    for _ in range(options.rounds):
        for who, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
            taken[who].append(time.perf_counter() - begun)
    hand = median(next(iter(taken.values())))
    rows = [
        [who, number(median(values)), f"{hand / median(values):.2f}"]
        for who, values in taken.items()
    ]
    print(f"\n`{name}`, {options.files:,} photographs\n")
    print("\n".join(table(("", "seconds", "times as fast as by hand"), rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure in each round")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--files", type=int, default=0, metavar="N", help="photographs to classify")
    parser.add_argument("--programs", type=int, default=0, help="how many keep a core busy")
    options = parser.parse_args()
    torch.set_num_threads(available_cpus())
    with busy_programs(options.programs):
        for name in options.models:
            with tempfile.TemporaryDirectory() as folder:
                notice(f"exporting and measuring {name}")
                measure(name, options, Path(folder))
                if options.files:
                    measure_files(name, options, Path(folder))


if __name__ == "__main__":
    main()
