"""Where the time of a training step of ``keras_eanet``, or of its prediction, goes, on a CPU.

The compiled step runs in PyTorch's profiler, with each compiled kernel named after the operations
that it fuses. The figures go to standard output as one line of JSON.

    python -m benchmarks.step_profile [--network vit] [--prediction]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import torch._inductor.config as inductor
from torch.profiler import ProfilerActivity, profile

from benchmarks.eanet_step import MODELS, settings
from eanet.benchmarking.models import prediction, prepare, training_step
from eanet.data.batches import take

# Kinds of work by what the name of an event contains; the first match counts.
KINDS = (
    ("augmentation", ("resample", "grid_sampler")),
    ("optimiser", ("adamw", "_foreach", "Optimizer")),
    ("matrix products", ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkldnn::")),
    ("layer norm, GELU, dropout, sums: fused loops", ("cpp_fused",)),
)
OWN, REST = "eanet::", "the rest"  # our operators are listed by name
STEPS, WARM_UP = 10, 2


def kind(event: str) -> str:
    """Return the kind of work of a profiler event, by its name."""
    own = f"`{event.removesuffix('_backward')}`" if event.startswith(OWN) else REST
    return next((k for k, parts in KINDS if any(part in event for part in parts)), own)


def by_kind(events: Iterable[tuple[str, float]], total: float) -> dict[str, float]:
    """Return shares of ``total`` by kind; the rest is what no event of a kind accounts for.

    Args:
        events: name, and time excluding nested events.
        total: in the same unit.
    """
    shares: Counter[str] = Counter()
    for name, taken in events:
        shares[kind(name)] += taken / total
    del shares[REST]
    return {**shares, REST: 1 - sum(shares.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=MODELS, default="eanet")
    parser.add_argument("--prediction", action="store_true", help="instead of a training step")
    options = parser.parse_args()
    inductor.cpp.enable_kernel_profile = True
    inductor.cpp.descriptive_names = "original_aten"
    work = prepare(MODELS[options.network], settings("auto", seconds=1))
    if options.prediction:
        predict = prediction(work)
        step: Callable[[], object] = partial(predict, take(work.images, slice(None))[0])
    else:
        step = training_step(work)
    for _ in range(WARM_UP):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        begun = time.perf_counter()
        for _ in range(STEPS):
            step()
        taken = time.perf_counter() - begun
    events = [(e.key, e.self_cpu_time_total / 1e6) for e in profiler.key_averages()]
    found = {"step_ms": 1000 * taken / STEPS, "shares": by_kind(events, taken)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
