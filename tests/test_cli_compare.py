"""`eanet compare` as people meet it: in a terminal, interrupted, gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import eanet
from eanet.cli import main
from eanet.comparison.entries import group_by_model
from eanet.comparison.runs import PREDICTIONS
from eanet.comparison.training import Failure
from tests.support.comparisons import make_entries, make_run

Capture = pytest.CaptureFixture[str]
QUICK = ["--epochs", "12", "--precision", "fp32", "--threads", "1", "--recipe", "default"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "eanet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_comparison_that_is_interrupted_goes_on_and_ends_with_its_table(tmp_path: Path) -> None:
    folder = tmp_path / "both"
    command = ["compare", "vit:depth=1,dim=16", "vit:depth=1,dim=8", "--data", "digits"]
    command += ["--image-size", "8", "--seeds", "1", "--output", str(folder), *QUICK]
    second = folder / "vit-depth=1-dim=8-seed0"
    stopped = start(*command)
    deadline = time.monotonic() + 240
    while not (second / "history.csv").is_file() and stopped.poll() is None:
        if time.monotonic() > deadline:
            os.killpg(stopped.pid, signal.SIGKILL)
            pytest.fail(f"the second run did not begin: {stopped.communicate()}")
        time.sleep(0.05)
    os.killpg(stopped.pid, signal.SIGINT)  # as a terminal does
    out, err = stopped.communicate(timeout=120)
    assert (stopped.returncode, out) == (130, ""), err
    assert "interrupted and saved" in err
    assert err.endswith("stopped at run 2 of 2; the same command resumes it\n")
    assert "Traceback" not in err
    assert not (second / PREDICTIONS).exists()

    done = start(*command)
    out, err = done.communicate(timeout=240)
    assert done.returncode == 0, err
    assert err.startswith("run 1 of 2: vit:depth=1,dim=16, seed 0: already done\n")
    assert "run 2 of 2: vit:depth=1,dim=8, seed 0: resuming\n" in err
    assert len((second / "history.csv").read_text().splitlines()) == 1 + 12
    heads, first, other, *_ = out.splitlines()
    assert heads.split()[:5] == ["model", "top-1,", "%", "top-5,", "%"]
    assert first.startswith("vit:depth=1,dim=16 ")
    assert other.startswith("vit:depth=1,dim=8 ")
    assert "not the models with other seeds" in out
    assert out.endswith(f"wrote {folder / 'comparison.html'}\n")
    assert (folder / "comparison.html").is_file()


def show(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, columns: int, **settings: object
) -> list[str]:
    """The lines of the tables of a made-up comparison in a terminal so wide."""
    entries = make_entries([0.8, 0.7], **settings)
    found = eanet.Comparison(Path("c"), tuple(entries), (Path("c/comparison.csv"),))
    monkeypatch.setattr("eanet.api.compare", lambda *_, **__: found)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["compare", "vit"]) == 0
    out = capsys.readouterr().out
    assert "\nwrote c/comparison.csv\n" in out
    return out.split(found.conclusion)[0].rstrip().splitlines()


def test_a_narrow_window_has_scores_and_costs_one_below_the_other(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    narrow = [line.rstrip() for line in show(monkeypatch, capsys, 80)]
    assert len(narrow) == 7
    assert max(len(line) for line in narrow if line.startswith("vit")) <= 80
    assert narrow[3] == ""
    assert "top-1" in narrow[0]
    assert "parameters" in narrow[4]
    wide = show(monkeypatch, capsys, 140)
    assert len(wide) == 3
    assert "top-1" in wide[0]
    assert "parameters" in wide[0]


def test_settings_of_all_runs_are_options_and_those_of_one_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, refused: Callable[..., tuple[int, str]]
) -> None:
    asked = {}

    def compare(*names: str, **settings: object) -> eanet.Comparison:
        asked.update(settings, names=names)
        return eanet.Comparison(Path("c"), tuple(make_entries([0.8])), ())

    monkeypatch.setattr("eanet.api.compare", compare)
    arguments = "compare vit keras_mlp --data digits --seeds 2 --output c --epochs 3 --mixup 0.2"
    assert main([*arguments.split(), "--threads", "1"]) == 0
    assert asked == {
        "names": ("vit", "keras_mlp"),
        "data": "digits",
        "seeds": 2,
        "output": Path("c"),
        "epochs": "3",
        "mixup": "0.2",
        "threads": "1",
    }
    capsys.readouterr()
    for option in ("--model", "--seed", "--name", "--resume"):
        assert refused("compare", "vit", option, "1")[0] == 2


def test_a_comparison_with_a_failed_run_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    entries = group_by_model(["vit"], [make_run("vit")], [Failure("vit", 1, "it diverged")])
    found = eanet.Comparison(Path("c"), tuple(entries), ())
    monkeypatch.setattr("eanet.api.compare", lambda *_, **__: found)
    assert main(["compare", "vit"]) == 1
    assert "vit, seed 1 failed: it diverged\n" in capsys.readouterr().out


def test_runs_that_are_not_there_are_one_line(refused: Callable[..., tuple[int, str]]) -> None:
    code, line = refused("compare", "vti", "vit")
    assert (code, line) == (2, "unknown model 'vti'; did you mean 'vit'?")
