"""Training and prediction while another program keeps a core busy, with several numbers of threads.

    python -m benchmarks.busy keras_eanet eanet_tiny

Each setting is measured by `eanet benchmark`, alone and beside a program that computes without end,
in turns. `auto` is what eanet takes by itself. The networks of the Keras example are measured in
TensorFlow, OpenVINO and ONNX Runtime as well, with the threads that these take by themselves.
Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.compare import (
    ENVIRONMENTS,
    ROOT,
    Contender,
    call,
    keras_contenders,
    own_precisions,
    runtime_contenders,
)
from benchmarks.comparison import RIVALS
from benchmarks.eanet_step import MODELS
from benchmarks.performance_page import number, table
from eanet.console import notice
from eanet.threads import available_cpus

FIGURES = {
    "training_images_per_second": "training, images/s",
    "prediction_images_per_second": "prediction, images/s",
    "latency_ms": "one image, ms",
}
THEIRS = {
    "training_images_per_second": "training",
    "prediction_images_per_second": "prediction",
    "latency_ms": "latency_ms",
}
NETWORKS = {model: network for network, model in MODELS.items()}


@contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Keep ``count`` cores busy."""
    endless = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(endless, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def measure(model: str, threads: int | None, seconds: float) -> dict[str, Any]:
    """Return the figures of one model; ``threads``: None for what eanet takes by itself."""
    asked = [] if threads is None else [f"--threads={threads}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "eanet", "benchmark", model, "--no-runtimes", *asked]
        options = [f"--seconds={seconds}", f"--output={folder}"]
        subprocess.run([*command, *options], check=True, capture_output=True, cwd=ROOT)
        content = json.loads((Path(folder) / "benchmark.json").read_text("utf-8"))
    return {**content["models"][0], "threads": content["hardware"]["threads"]}


def measure_rival(rival: Contender, network: str, seconds: float) -> dict[str, Any]:
    """Return the figures of Keras' network elsewhere; none of training where only that predicts."""
    found = call(*rival.command, f"--network={network}", f"--seconds={seconds}")
    return {mine: found[theirs] for mine, theirs in THEIRS.items() if theirs in found}


def rivals(environments: Path) -> list[Contender]:
    """List TensorFlow, if there is an environment with it, and the libraries that predict alone."""
    everyone = keras_contenders(environments) + runtime_contenders(own_precisions())
    wanted = [c for c in everyone if c.name in ("TensorFlow", *RIVALS)]
    found = [c for c in wanted if Path(c.command[0]).is_file()]
    if len(found) < len(wanted):
        notice(
            f"TensorFlow is left out: it is not in {environments}, where `make benchmark` puts it"
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure in each round")
    parser.add_argument("--programs", type=int, default=1, help="how many keep a core busy")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="as compare.py's")
    arguments = parser.parse_args()
    others = rivals(arguments.environments.resolve())
    taken: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for turn in range(1, arguments.rounds + 1):
        for model in arguments.models:
            calls: dict[str, Callable[[], dict[str, Any]]] = {
                f"`{model}`, threads {threads or 'auto'}": partial(
                    measure, model, threads, arguments.seconds
                )
                for threads in (None, 1, available_cpus())
            }
            if model in NETWORKS:
                calls |= {
                    f"Keras' `{model}`, {', '.join(rival.key)}": partial(
                        measure_rival, rival, NETWORKS[model], arguments.seconds
                    )
                    for rival in others
                }
            for programs in (0, arguments.programs):
                for name, call_it in calls.items():
                    notice(f"round {turn}: {name}, {programs} busy")
                    with busy_programs(programs):
                        figures = call_it()
                    taken.setdefault((name, programs, model), []).append(figures)
    rows = []
    for (name, programs, _), records in taken.items():
        chosen = sorted({record["threads"] for record in records if "threads" in record})
        values = [
            number(median(r[figure]["median"] for r in records)) if figure in records[0] else ""
            for figure in FIGURES
        ]
        rows.append([name, str(programs), ", ".join(map(str, chosen)), *values])
    print("\n".join(table(("", "busy programs", "threads", *FIGURES.values()), rows)))


if __name__ == "__main__":
    main()
