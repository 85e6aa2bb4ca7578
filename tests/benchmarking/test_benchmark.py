from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

import eanet
from eanet.benchmarking import models as models_module
from eanet.benchmarking import tokens as tokens_module
from eanet.benchmarking.figures import ModelFigures, Spread, TokenFigures
from eanet.benchmarking.measuring import durations
from eanet.benchmarking.models import prepare, training_step
from eanet.benchmarking.plots import plot_benchmark, plot_tokens
from eanet.benchmarking.settings import BenchmarkSettings, resolve_benchmark
from eanet.benchmarking.tokens import (
    EXTERNAL,
    LAYERS,
    SELF,
    crossing,
    state_crossing,
)
from eanet.cli import main
from eanet.console import short
from eanet.errors import EanetError
from eanet.memory import peak_memory
from eanet.models.operations import multiply_adds
from eanet.process import in_own_process
from eanet.training.optimizer import set_step
from eanet.training.updates import Updates
from tests.support.peaks import CPU, hold_again_and_again
from tests.support.pictures import BLUE, ORANGE, amount, pixels

TINY = {"compile": "off", "threads": 1, "precision": "fp32", "device": "cpu", "seconds": 0.05}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is measured in this process, which saves the start of others."""
    threads = torch.get_num_threads()
    for module in (models_module, tokens_module):
        monkeypatch.setattr(module, "in_own_process", lambda call, *args: call(*args))
    yield
    torch.set_num_threads(threads)


def columns(row: Any) -> dict[str, str]:
    """What a row of CSV must say of a dataclass with spreads."""
    flat: dict[str, str] = {}
    for name, value in asdict(row).items():
        for part, number in value.items() if isinstance(value, dict) else [("median", value)]:
            flat[name if part == "median" else f"{name}_{part}"] = str(number)
    return flat


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# Measuring


class Clock:
    """A clock that only work moves on."""

    def __init__(self, *work: float) -> None:
        self.now, self.work, self.calls, self.waits = 0.0, list(work), 0, 0

    def call(self) -> None:
        self.calls += 1

    def wait(self) -> None:
        """The work of a call is done when the device has been waited for."""
        self.waits += 1
        self.now += self.work.pop(0) if len(self.work) > 1 else self.work[0]


def test_calls_are_timed_until_the_time_is_over_without_the_warm_up() -> None:
    clock = Clock(50.0, 0.3, 0.1, 0.2)  # the warm-up, and then 0.2 seconds again and again
    found = durations(clock.call, 1.0, clock.wait, lambda: clock.now)
    assert found == pytest.approx([0.3, 0.1, 0.2, 0.2, 0.2])
    assert (clock.calls, clock.waits) == (7, 6)


def test_slow_calls_are_timed_three_times_at_least() -> None:
    clock = Clock(7.0)
    assert durations(clock.call, 0.5, clock.wait, lambda: clock.now) == [7.0, 7.0, 7.0]


def test_a_spread_is_median_percentiles_and_number() -> None:
    assert Spread.of(list(range(101))) == Spread(50.0, 5.0, 95.0, 101)
    assert Spread.of([4.0, 1.0, 2.0]).median == 2.0


def test_a_process_of_its_own_has_a_peak_of_its_own_of_what_was_held_at_once() -> None:
    held = torch.ones(800 * 2**20, dtype=torch.uint8)
    before, after = in_own_process(hold_again_and_again, 40 * 2**20)
    assert before < 0.7 * peak_memory(CPU)
    assert 35 * 2**20 < after - before < 60 * 2**20
    del held


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (84_216_000, "84.2 M"),
        (2.5e9, "2.5 G"),
        (999_600_000, "1 G"),
        (1.234e12, "1.23 T"),
        (1234.4, "1,234"),
        (99.96, "100"),
        (0.03124, "0.0312"),
    ],
)
def test_numbers_are_shortened_to_what_people_read(value: float, text: str) -> None:
    assert short(value) == text


# Models


def test_the_multiply_adds_of_external_attention_agree_with_a_count_by_hand() -> None:
    tokens, dim, heads, slots, head_dim = 16, 64, 16, 16, 16
    weights = 2 * heads * head_dim * slots * dim  # W_q M_k and M_v W_o
    attention = 2 * tokens * dim * heads * slots
    mlp = 2 * tokens * dim * 64
    by_hand = tokens * 12 * dim + 8 * (weights + attention + mlp) + dim * 100
    assert multiply_adds(eanet.create_model("keras_eanet", image_size=8).eval()) == by_hand


def test_counting_multiply_adds_leaves_a_model_in_training_as_it_was() -> None:
    model = eanet.create_model("eanet_nano", image_size=8).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    multiply_adds(model)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_multiply_adds_of_self_attention_count_its_fused_kernel() -> None:
    tokens, dim = 16, 64
    attention = 4 * tokens * dim * dim + 2 * tokens * tokens * dim
    mlp = 2 * tokens * dim * 64
    by_hand = tokens * 12 * dim + 8 * (attention + mlp) + dim * 100
    assert multiply_adds(eanet.create_model("vit", image_size=8).eval()) == by_hand


def test_the_step_that_is_measured_is_that_of_a_training() -> None:
    settings = resolve_benchmark(
        BenchmarkSettings.parse({"image_size": 8, "batch_size": 4, **TINY}), single_layers=False
    )
    measured, trained = (prepare("vit:depth=1,dim=8", settings) for _ in range(2))
    updates = Updates(trained.model, trained.settings, trained.images, trained.fabric)
    set_step(updates.optimizer, trained.settings, 0, 0)
    updates(0, 0)
    before = {name: tensor.clone() for name, tensor in measured.model.state_dict().items()}
    training_step(measured)()
    after, wanted = measured.model.state_dict(), trained.model.state_dict()
    assert all(torch.equal(after[name], wanted[name]) for name in after)
    assert not torch.equal(after["head.weight"], before["head.weight"])


def test_files_and_picture_say_what_is_returned(
    here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_module, "installed_runtimes", lambda: [("openvino", "fp32")])
    names = ["vit:depth=1", "keras_eanet"]
    result = eanet.benchmark(*names, names[0], image_size=8, batch_size=4, output=tmp_path, **TINY)
    assert [row.model for row in result.models] == names
    for row in result.models:
        assert row.parameters == eanet.create_model(row.model, image_size=8).num_parameters
        assert row.peak_memory_bytes > 50 * 2**20
        for spread in (row.training_images_per_second, row.prediction_images_per_second):
            assert 0 < spread.low <= spread.median <= spread.high
            assert spread.n >= 3
    assert [file.name for file in result.files] == [
        "benchmark.csv",
        "runtimes.csv",
        "benchmark.json",
        "benchmark.png",
    ]
    assert read_csv(tmp_path / "benchmark.csv") == [columns(row) for row in result.models]
    content = json.loads((tmp_path / "benchmark.json").read_text())
    assert content["models"] == [asdict(row) for row in result.models]
    assert [(row.model, row.runtime) for row in result.runtimes] == [(n, "openvino") for n in names]
    assert read_csv(tmp_path / "runtimes.csv") == [columns(row) for row in result.runtimes]
    assert content["runtimes"] == [asdict(row) for row in result.runtimes]
    assert content["settings"]["batch_size"] == 4
    assert content["settings"]["precision"] == "fp32"
    assert content["hardware"]["threads"] == 1
    assert content["versions"]["eanet"] == eanet.__version__
    assert amount(pixels(tmp_path / "benchmark.png"), BLUE) > 3000


def test_what_a_library_cannot_compute_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EanetError("OpenVINO cannot convert vit: no rule")

    monkeypatch.setattr(models_module, "measure_runtime", fail)
    settings = BenchmarkSettings.parse(TINY)
    assert models_module.measure_runtimes("vit", [("openvino", "fp32")], settings) == []
    assert capsys.readouterr().err == "left out: OpenVINO cannot convert vit: no rule\n"


def test_the_command_measures_in_a_process_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    arguments = ["vit", "--image-size=8", "--batch-size=4", f"--output={tmp_path}"]
    arguments += ["--no-runtimes"]
    assert main(["benchmark", *arguments, *options]) == 0
    out, err = capsys.readouterr()
    head, row, *rest = out.splitlines()
    assert head.startswith("model  parameters  multiply-adds")
    assert row.startswith("vit    210,084     3.43 M")
    assert rest[1] == f"wrote {tmp_path / 'benchmark.csv'}"
    assert err == "measuring vit on cpu in fp32\n"


def test_a_model_that_does_not_fit_into_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models_module, "in_own_process", killed)
    with pytest.raises(EanetError, match="measuring vit was killed; try a smaller --batch-size"):
        eanet.benchmark("vit", **TINY)


def killed(*_: object) -> None:
    raise BrokenProcessPool("a process in the process pool was terminated abruptly")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("kers_eanet", "unknown model 'kers_eanet'; did you mean 'keras_eanet'?"),
        ("--precision fp16", "unknown --precision 'fp16'; did you mean"),
        ("--second 3", "unknown option '--second'; did you mean '--seconds'?"),
        ("--seconds 0", "seconds=0: should be greater than 0"),
        ("--image-size none", "image_size=none: "),
        ("--tokens --dim 63", "dim=63: should be a multiple of 4"),
        ("--tokens vit", "--tokens takes no model"),
        (
            "--tokens --batch-size 2",
            "takes no model, --image-size, --batch-size or --runtimes",
        ),
        ("--dim 32", "--dim needs --tokens"),
    ],
)
def test_wrong_arguments_are_one_line(
    refused: Callable[..., tuple[int, str]], arguments: str, message: str
) -> None:
    code, line = refused("benchmark", *arguments.split())
    assert code == 2
    assert message in line


def test_the_help_ends_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--help"]) == 0
    assert "example:\n  eanet benchmark" in capsys.readouterr().out


# Tokens


def test_layers_are_measured_by_tokens_and_written(here: None, tmp_path: Path) -> None:
    result = eanet.benchmark_tokens((16, 256), dim=32, output=tmp_path, **TINY)
    assert [(p.layer, p.tokens) for p in result.points] == [
        (layer, tokens) for layer in LAYERS for tokens in (16, 256)
    ]
    for point in result.points:
        assert 0 < point.forward_ms.median < point.training_ms.median
    assert result.skipped == ()
    assert read_csv(tmp_path / "tokens.csv") == [columns(p) for p in result.points]
    content = json.loads((tmp_path / "tokens.json").read_text())
    assert content["points"] == [asdict(p) for p in result.points]
    assert (content["summary"], content["sequences"]) == (result.summary, 1)
    assert content["settings"]["dim"] == 32
    assert amount(pixels(tmp_path / "tokens.png"), BLUE) > 300


def test_the_command_prints_a_line_for_each_point_and_the_crossing(
    here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tokens_module, "measure_tokens", made_up)
    assert main(["benchmark", "--tokens"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[1].split()[:4] == ["external", "attention", "64", "0.5"]
    assert lines[-2] == f"{NAME} is faster from about 1,000 tokens on"
    assert err.splitlines()[1:] == [
        f"left out {SELF} from 16,384 tokens on: a step may take more than 20 seconds"
    ]


def made_up(layer: str, tokens: int, _: object) -> TokenFigures:
    """External attention takes 1 ms, self-attention more from 1,024 tokens on."""
    ms = 1.0 if layer == EXTERNAL else (tokens / 1024) ** 4.3
    return TokenFigures(layer, tokens, spread(ms / 2), spread(ms), tokens * 2**12)


def spread(value: float) -> Spread:
    return Spread(value, 0.9 * value, 1.1 * value, 5)


NAME = "external attention (forward and backward)"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BrokenProcessPool(), "the process was killed, probably out of memory"),
        (torch.OutOfMemoryError(), "out of memory"),
    ],
)
def test_points_for_which_there_is_no_memory_are_left_out(
    here: None, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def measure(layer: str, tokens: int, settings: object) -> TokenFigures:
        if layer == SELF and tokens > limit:
            raise error
        return made_up(layer, tokens, settings)

    monkeypatch.setattr(tokens_module, "measure_tokens", measure)
    limit = 128
    result = eanet.benchmark_tokens((64, 128, 256, 512), **TINY)
    assert result.skipped == (f"{SELF} from 256 tokens on: {reason}",)
    assert [p.tokens for p in result.points if p.layer == SELF] == [64, 128]
    assert result.summary == f"{NAME} is not faster at 128 tokens, the most compared"
    limit = 0
    assert "could not be compared" in eanet.benchmark_tokens((64,), **TINY).summary
    monkeypatch.setattr(tokens_module, "in_own_process", killed)
    with pytest.raises(EanetError, match="nothing could be measured; external attention from 64"):
        eanet.benchmark_tokens((64,), **TINY)


def test_curves_cross_where_lines_on_logarithmic_axes_do() -> None:
    linear = {n: n * 4.0 for n in (64, 256, 1024, 4096)}
    quadratic = {n: n**2 / 100 for n in linear}
    assert crossing(linear, quadratic) == pytest.approx(400)
    assert state_crossing(linear, quadratic) == f"{NAME} is faster from about 400 tokens on"


def test_of_several_crossings_the_last_counts() -> None:
    ours = {1: 3.0, 2: 1.0, 4: 3.0, 8: 1.0}
    part = math.log(1.5) / math.log(3)
    assert crossing(ours, dict.fromkeys(ours, 2.0)) == pytest.approx(4 * 2**part)


def test_without_a_crossing_it_is_said_which_is_faster() -> None:
    fast, slow = {64: 1.0, 256: 2.0}, {64: 2.0, 256: 4.0, 1024: 8.0}
    assert crossing(fast, slow) == 64
    assert state_crossing(fast, slow) == f"{NAME} is faster throughout, from 64 to 256 tokens"
    assert crossing(slow, fast) is None
    assert state_crossing(slow, fast) == (f"{NAME} is not faster at 256 tokens, the most compared")
    assert crossing(fast, fast) is None
    assert crossing({}, fast) is None


# Pictures


def test_bars_have_whiskers_and_one_row_for_each_model(tmp_path: Path) -> None:
    row = ModelFigures("vit", 225_444, 80_000_000, spread(900), spread(3000), spread(4), 2**29)
    one = pixels(plot_benchmark([row], tmp_path / "1.png", note="somewhere"))
    four = pixels(plot_benchmark([row] * 4, tmp_path / "4.png", note="somewhere"))
    assert amount(four, BLUE) > 1.5 * amount(one, BLUE) > 1000


def test_both_layers_and_the_crossing_are_drawn(tmp_path: Path) -> None:
    points = [made_up(layer, n, None) for layer in LAYERS for n in (64, 256, 1024, 4096)]

    def draw(name: str, found: float | None) -> Any:
        path = tmp_path / f"{name}.png"
        return pixels(plot_tokens(points, path, crossing=found, summary="faster", note="here"))

    marked, plain, throughout = draw("a", 1024.0), draw("b", None), draw("c", 64.0)
    assert amount(plain, BLUE) > 300
    assert amount(plain, ORANGE) > 300
    assert (marked != plain).any()
    assert (throughout == plain).all()


def test_memory_too_small_to_be_told_from_noise_is_not_drawn(tmp_path: Path) -> None:
    points = [TokenFigures(EXTERNAL, n, spread(1), spread(2), 0) for n in (64, 128)]
    pixels(plot_tokens(points, tmp_path / "t.png", crossing=None, summary="faster", note="here"))
