"""Training and prediction while another program keeps a core busy, with several numbers of threads.

    python -m benchmarks.busy keras_eanet eanet_tiny

Each setting is measured by `eanet benchmark`, alone and beside a program that computes without end,
in turns. `auto` is what eanet takes by itself. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.compare import ROOT
from benchmarks.performance_page import number, table
from eanet.console import notice
from eanet.threads import available_cpus

FIGURES = {
    "training_images_per_second": "training, images/s",
    "prediction_images_per_second": "prediction, images/s",
    "latency_ms": "one image, ms",
}


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
        command = [sys.executable, "-m", "eanet", "benchmark", model, *asked]
        options = [f"--seconds={seconds}", f"--output={folder}"]
        subprocess.run([*command, *options], check=True, capture_output=True, cwd=ROOT)
        content = json.loads((Path(folder) / "benchmark.json").read_text("utf-8"))
    return {**content["models"][0], "threads": content["hardware"]["threads"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure in each round")
    parser.add_argument("--programs", type=int, default=1, help="how many keep a core busy")
    arguments = parser.parse_args()
    settings = (None, 1, available_cpus())
    taken: dict[tuple[str, int, int | None], list[dict[str, Any]]] = {}
    for turn in range(1, arguments.rounds + 1):
        for model in arguments.models:
            for programs in (0, arguments.programs):
                for threads in settings:
                    notice(f"round {turn}: {model}, {programs} busy, threads {threads or 'auto'}")
                    with busy_programs(programs):
                        figures = measure(model, threads, arguments.seconds)
                    taken.setdefault((model, programs, threads), []).append(figures)
    rows = []
    for (model, programs, threads), records in taken.items():
        chosen = sorted({record["threads"] for record in records})
        name = f"auto ({', '.join(map(str, chosen))})" if threads is None else str(threads)
        values = [number(median(r[figure]["median"] for r in records)) for figure in FIGURES]
        rows.append([f"`{model}`", str(programs), name, *values])
    print("\n".join(table(("", "busy programs", "threads", *FIGURES.values()), rows)))


if __name__ == "__main__":
    main()
