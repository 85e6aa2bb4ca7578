"""Cost of one attention layer by number of tokens: external against self-attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Unpack, cast

import torch
from torch import Tensor, nn

from eanet.benchmarking.figures import Spread, TokenFigures, token_rows, write_figures
from eanet.benchmarking.measuring import (
    benchmark_metadata,
    durations,
    summarize_metadata,
)
from eanet.benchmarking.plots import plot_tokens
from eanet.benchmarking.settings import BenchmarkSettings, resolve_benchmark
from eanet.config import TrainSettings
from eanet.console import notice
from eanet.device import synchronizer
from eanet.errors import EanetError
from eanet.files import check_writable, write_json
from eanet.memory import peak_memory, reset_peak_memory
from eanet.models import ExternalAttention, SelfAttention
from eanet.options import BenchmarkOptions
from eanet.pages.notebook import show
from eanet.process import in_own_process
from eanet.training.engine import configure_process, create_fabric

TOKENS = tuple(64 * 2**n for n in range(9))  # 64 to 16,384
# The layers of `keras_eanet` and `vit`, by their width.
EXTERNAL, SELF = "external attention", "self-attention"
LAYERS: dict[str, Callable[[int], nn.Module]] = {
    EXTERNAL: partial(ExternalAttention, heads=16, slots=16, coefficient=4, all_biases=True),
    SELF: partial(SelfAttention, heads=4),
}
LONGEST = 20.0  # seconds for one forward and backward pass


@dataclass(frozen=True, repr=False)
class TokenBenchmark:
    """Time and memory by number of tokens.

    Attributes:
        points: what was measured.
        skipped: what was not measured, one line per layer with the reason.
        summary: one line on where external attention becomes faster.
        files: the files written.
    """

    points: tuple[TokenFigures, ...]
    skipped: tuple[str, ...]
    summary: str
    files: tuple[Path, ...]

    def __repr__(self) -> str:
        return f"TokenBenchmark({len(self.points)} points; {self.summary})"

    def _repr_html_(self) -> str:
        table = {"Layers": token_rows(self.points)}
        return show("Benchmark of layers", lead=self.summary, tables=table, notes=self.skipped)


def benchmark_tokens(
    tokens: Sequence[int] = TOKENS, **settings: Unpack[BenchmarkOptions]
) -> TokenBenchmark:
    """Measure one layer of each kind, of equal width, on single sequences of growing length.

    Every point is measured in its own process, so scripts must call this under
    ``if __name__ == "__main__":``. Self-attention is the layer that the models train with: on a
    CPU, PyTorch's fused one from 1,024 tokens on, in bfloat16 from 8,192 if kernels are compiled.

    Args:
        tokens: lengths of the sequences, ascending.
        **settings: any field of `BenchmarkSettings` except those about images.

    Raises:
        EanetError: an invalid setting, or not even the shortest sequence could be measured.

    Examples:
        >>> measured = eanet.benchmark_tokens((16,), seconds=0.05)
        >>> {point.layer for point in measured.points} == {"external attention", "self-attention"}
        True
    """
    resolved = resolve_benchmark(BenchmarkSettings.parse(settings), single_layers=True)
    if resolved.output is not None:
        check_writable(resolved.output)
    notice(
        f"measuring attention of width {resolved.dim} on {resolved.device} in {resolved.precision}"
    )
    points: list[TokenFigures] = []
    skipped: list[str] = []
    for layer in LAYERS:
        measured, left_out = _measure_layer(layer, tokens, resolved)
        points += measured
        skipped += left_out
    if not points:
        raise EanetError(f"nothing could be measured; {skipped[0]}")
    times = training_times(points)
    summary = state_crossing(times[EXTERNAL], times[SELF])
    files: tuple[Path, ...] = ()
    if resolved.output is not None:
        files = _write(points, skipped, summary, resolved, resolved.output)
    return TokenBenchmark(tuple(points), tuple(skipped), summary, files)


def _measure_layer(
    layer: str, tokens: Sequence[int], settings: BenchmarkSettings
) -> tuple[list[TokenFigures], list[str]]:
    """Measure one layer, up to the first point that takes too long or too much memory."""
    points: list[TokenFigures] = []
    for number in tokens:
        if points:
            growth = (number / points[-1].tokens) ** 2  # of the time, at most
            if points[-1].training_ms.median / 1000 * growth > LONGEST:
                why = f"a step may take more than {LONGEST:.0f} seconds"
                break
        try:
            points.append(in_own_process(measure_tokens, layer, number, settings))
        except torch.OutOfMemoryError:
            why = "out of memory"
            break
        except BrokenProcessPool:
            why = "the process was killed, probably out of memory"
            break
    else:
        return points, []
    line = f"{layer} from {number:,} tokens on: {why}"
    notice(f"left out {line}")
    return points, [line]


def measure_tokens(layer: str, tokens: int, settings: BenchmarkSettings) -> TokenFigures:
    """Measure one point in this process, which must not have done other work."""
    machine = settings.model_dump(include={"device", "precision", "threads"})
    configure_process(settings.threads)
    fabric = create_fabric(TrainSettings(**machine))
    torch.manual_seed(0)
    attention = LAYERS[layer](settings.dim).to(fabric.device)
    if settings.compile == "on":
        attention = cast(nn.Module, torch.compile(attention, dynamic=False))
    wait = synchronizer(fabric.device)

    def passes(count: int) -> tuple[Callable[[], Tensor], Callable[[], None]]:
        x = torch.randn(1, count, settings.dim, device=fabric.device, requires_grad=True)
        upstream = torch.randn_like(x)

        def forward() -> Tensor:
            with fabric.autocast():
                y: Tensor = attention(x)
            return y

        def both() -> None:
            x.grad = None
            attention.zero_grad()
            y = forward()
            y.backward(upstream.to(y.dtype))

        return torch.inference_mode()(forward), both

    if settings.compile == "off":
        passes(TOKENS[0])[1]()  # keeps one-off set-up by libraries out of the layer's memory
    before = reset_peak_memory(fabric.device)
    forward, both = passes(tokens)
    both()
    wait()
    memory = peak_memory(fabric.device) - before
    return TokenFigures(
        layer,
        tokens,
        Spread.of([1000 * s for s in durations(forward, settings.seconds, wait)]),
        Spread.of([1000 * s for s in durations(both, settings.seconds, wait)]),
        memory,
    )


def training_times(points: Sequence[TokenFigures]) -> dict[str, dict[int, float]]:
    """Return each layer's milliseconds of forward and backward pass, by number of tokens."""
    return {
        layer: {p.tokens: p.training_ms.median for p in points if p.layer == layer}
        for layer in LAYERS
    }


def crossing(ours: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """Return the number of tokens from which ours is faster, up to the largest measured for both.

    Args:
        ours: time by number of tokens.
        other: likewise.

    Returns:
        Interpolated on logarithmic axes, where both are nearly straight. The smallest number if
        ours is always faster; None if it is not faster at the largest.
    """
    common = sorted(ours.keys() & other.keys())
    leads = [math.log(other[n] / ours[n]) for n in common]  # > 0 where ours is faster
    if not common or leads[-1] <= 0:
        return None
    behind = [i for i, lead in enumerate(leads) if lead <= 0]
    if not behind:
        return float(common[0])
    i = behind[-1]
    part = -leads[i] / (leads[i + 1] - leads[i])
    return float(common[i] * (common[i + 1] / common[i]) ** part)


def state_crossing(ours: Mapping[int, float], other: Mapping[int, float]) -> str:
    """Describe the `crossing` of external and self-attention in one line."""
    common = sorted(ours.keys() & other.keys())
    if not common:
        return "external and self-attention could not be compared at any number of tokens"
    tokens = crossing(ours, other)
    name = "external attention (forward and backward)"
    if tokens is None:
        return f"{name} is not faster at {common[-1]:,} tokens, the most compared"
    if tokens == common[0]:
        return f"{name} is faster throughout, from {common[0]:,} to {common[-1]:,} tokens"
    rounded = round(tokens, 1 - math.floor(math.log10(tokens)))  # two significant digits
    return f"{name} is faster from about {rounded:,.0f} tokens on"


def _write(
    points: Sequence[TokenFigures],
    skipped: Sequence[str],
    summary: str,
    settings: BenchmarkSettings,
    output: Path,
) -> tuple[Path, ...]:
    metadata = benchmark_metadata(settings, torch.device(settings.device))
    times = training_times(points)
    tokens = crossing(times[EXTERNAL], times[SELF])
    content = {
        **metadata,
        "sequences": 1,
        "points": [asdict(point) for point in points],
        "skipped": list(skipped),
        "crossing_tokens": tokens,
        "summary": summary,
    }
    note = f"one sequence, width {settings.dim}; {summarize_metadata(metadata)}"
    return (
        write_figures(output / "tokens.csv", points),
        write_json(output / "tokens.json", content),
        plot_tokens(points, output / "tokens.png", crossing=tokens, summary=summary, note=note),
    )
