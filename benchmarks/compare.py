"""eanet beside Keras: both train and predict the Keras example's networks, in turns.

    make benchmark

Processes run one at a time. The first round measures every contender; later rounds measure eanet
and the settings of Keras that were fastest at something, in turns, so that other load on a shared
machine affects both. Rewrites the generated part of a page and the JSON file beside it. bfloat16 is
measured where the processor computes in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.comparison import (
    EANET,
    FIGURES,
    ONNX_RUNTIME,
    OPENVINO,
    RIVALS,
    TRAINING,
    Key,
    as_trained,
    fastest_keras,
    overall,
    targets,
)
from benchmarks.eanet_step import settings
from benchmarks.performance_page import generated, replace_generated, target_table
from eanet.benchmarking.measuring import benchmark_metadata
from eanet.console import notice
from eanet.device import has_bf16
from eanet.errors import EanetError
from eanet.files import replacing, write_json

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venv-benchmark"
PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True)
class Contender:
    """What is measured, with the command that does so: interpreter, module and options."""

    name: str
    setting: str
    command: tuple[str, ...]

    @property
    def key(self) -> Key:
        """Name and setting, as in records."""
        return self.name, self.setting


def keras_contenders(environments: Path) -> list[Contender]:
    """List all backends of Keras, also compiled where that helps."""
    tensorflow, jax = (str(environments / d / "bin/python") for d in ("tensorflow-cpu", "jax"))
    return [
        Contender(
            name,
            f"jit_compile={jit == 'on'}",
            (python, "-m", "benchmarks.keras_step", f"--backend={backend}", f"--jit={jit}"),
        )
        for name, backend, python, jits in (
            ("TensorFlow", "tensorflow", tensorflow, ("off", "on")),
            ("JAX", "jax", jax, ("off", "on")),
            ("PyTorch", "torch", sys.executable, ("off",)),
        )
        for jit in jits
    ]


def own_precisions() -> tuple[str, ...]:
    """List the precisions in which this processor computes, the one of `eanet train` first."""
    return ("bf16", "fp32") if has_bf16("cpu") else ("fp32",)


def runtime_contenders(precisions: Sequence[str]) -> list[Contender]:
    """List the libraries that predict alone, each with Keras' networks and with eanet's."""
    return [
        Contender(
            name,
            setting,
            (
                *(sys.executable, "-m", f"benchmarks.{module}"),
                *(f"--runtime={runtime}", f"--precision={precision}"),
            ),
        )
        for runtime, title, precision in (
            *(("openvino", OPENVINO, precision) for precision in precisions),
            ("onnxruntime", ONNX_RUNTIME, "fp32"),
        )
        for module, name, setting in (
            ("keras_runtimes", title, precision),
            ("eanet_runtime", EANET, f"{title}, {precision}"),
        )
    ]


def contenders(environments: Path, precisions: Sequence[str]) -> list[Contender]:
    """List everyone."""
    own = [
        Contender(
            EANET,
            precision,
            (sys.executable, "-m", "benchmarks.eanet_step", f"--precision={precision}"),
        )
        for precision in precisions
    ]
    return keras_contenders(environments) + runtime_contenders(precisions) + own


def call(*command: str) -> dict[str, Any]:
    """Run a command in the repository and return what it prints as JSON.

    Raises:
        EanetError: it failed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError as error:
        raise EanetError(f"cannot start {command[0]} ({error.strerror}): make benchmark") from error
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise EanetError(f"{' '.join(command)} failed ({done.returncode}): {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rounds(
    network: str,
    taking_part: Sequence[Contender],
    number: int,
    seconds: float,
    failures: dict[str, str],
) -> list[dict[str, Any]]:
    """Measure a network: all contenders in the first round, then eanet and the fastest others.

    A setting of Keras that fails is added to ``failures`` and left out from then on.

    Raises:
        EanetError: eanet itself failed.
    """
    records: list[dict[str, Any]] = []
    for turn in range(1, number + 1):
        for one in taking_part:
            notice(f"{network}, round {turn} of {number}: {', '.join(one.key)}")
            options = (f"--network={network}", f"--seconds={seconds}")
            head = {"network": network, "name": one.name, "setting": one.setting, "round": turn}
            try:
                records.append(head | call(*one.command, *options))
            except EanetError as error:
                if one.name == EANET:
                    raise
                notice(f"left out from here on: {error}")
                failures[f"{', '.join(one.key)} ({network})"] = str(error)
                taking_part = [c for c in taking_part if c is not one]
        fastest = {fastest_keras(records, network, figure) for figure in FIGURES}
        taking_part = [c for c in taking_part if c.name in (EANET, *RIVALS) or c.key in fastest]
    return records


def better_settings(records: Sequence[dict[str, Any]]) -> set[Key]:
    """Return the setting with which each backend of Keras trains fastest."""
    best: dict[str, tuple[float, Key]] = {}
    for r in records:
        if r["name"] not in (EANET, *RIVALS) and TRAINING in r:
            who = (r["name"], r["setting"])
            rate = overall(records, r["network"], who, TRAINING)
            best[r["name"]] = max(best.get(r["name"], (0.0, who)), (rate, who))
    return {who for _, who in best.values()}


def for_the_second_network(
    everyone: Sequence[Contender], records: Sequence[dict[str, Any]]
) -> list[Contender]:
    """List who measures `keras_vit`: each backend's better setting, the runtimes, eanet's own."""
    chosen = better_settings(records) | {as_trained(records)}
    chosen |= {c.key for c in runtime_contenders(own_precisions())}
    return [c for c in everyone if c.key in chosen]


def compare(environments: Path, number: int, seconds: float) -> dict[str, Any]:
    """Measure everything."""
    begun = time.monotonic()
    precisions = own_precisions()
    everyone = contenders(environments, precisions)
    failures: dict[str, str] = {}
    records = rounds("eanet", everyone, number, seconds, failures)
    chosen = for_the_second_network(everyone, records)
    records += rounds("vit", chosen, number, seconds, failures)
    notice("profile of a training step")
    profile = call(sys.executable, "-m", "benchmarks.step_profile")
    versions: dict[str, str] = {}
    for record in records:
        versions |= record.pop("versions")
    return {
        "about": benchmark_metadata(settings(precisions[0], seconds), torch.device("cpu")),
        "versions": versions,
        "seconds": seconds,
        "minutes": (time.monotonic() - begun) / 60,
        "records": records,
        "failures": failures,
        "profile": profile,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round, to see it work")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each figure in each round")
    parser.add_argument(
        "--environments",
        type=Path,
        default=ENVIRONMENTS,
        help="folder of the environments tensorflow-cpu and jax, as the Makefile makes them",
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="that has the two marker lines")
    arguments = parser.parse_args()
    page = arguments.page
    replace_generated(page.read_text("utf-8"), "")  # fails now rather than after the run
    number, seconds = (1, 0.5) if arguments.quick else (arguments.rounds, arguments.seconds)
    with tempfile.TemporaryDirectory() as cache:  # so that eanet compiles anew
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        result = compare(arguments.environments.resolve(), number, seconds)
    result |= {"quick": arguments.quick, "rounds": number}
    write_json(page.with_suffix(".json"), result)
    with replacing(page) as partial:
        text = page.read_text("utf-8")  # read again: it may have been edited meanwhile
        partial.write_text(replace_generated(text, generated(result)), "utf-8")
    print("\n".join(target_table(targets(result["records"]))))


if __name__ == "__main__":
    try:
        main()
    except EanetError as error:
        sys.exit(f"compare.py: error: {error}")
