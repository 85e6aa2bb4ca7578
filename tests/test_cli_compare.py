"""`eanet compare` as people meet it: in a terminal, interrupted, gone on with."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import eanet
from eanet.cli import main
from eanet.comparison import training
from eanet.comparison.entries import group_by_model
from eanet.comparison.runs import PREDICTIONS
from eanet.comparison.training import Failure
from tests.support.comparisons import make_entries, make_run
from tests.support.pictures import blank_pictures
from tests.support.processes import start

Capture = pytest.CaptureFixture[str]
SMALL, SMALLER = "vit:depth=1,dim=16", "vit:depth=1,dim=8"
QUICK = {"data": "digits", "image_size": 8, "seeds": 1, "epochs": 12, "recipe": "default"}
QUICK |= {"precision": "fp32", "threads": 1}


@contextmanager
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs are trained in this process, without pictures."""
    with monkeypatch.context() as patch, blank_pictures():
        patch.setattr(training, "in_own_process", lambda do, *given: do(*given))
        yield


def command(*arguments: str) -> None:
    """`eanet`, in a process of its own."""
    sys.exit(main(list(arguments)))


def test_the_help_promises_no_cross_validation_which_a_comparison_refuses(capsys: Capture) -> None:
    for name, is_promised in (("train", True), ("compare", False)):
        assert main([name, "--help"]) == 0
        assert ("cross-validation" in capsys.readouterr().out) == is_promised


@pytest.mark.slow
def test_a_comparison_that_is_interrupted_goes_on_and_ends_with_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    folder, out, log = tmp_path / "both", tmp_path / "out", tmp_path / "log"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    arguments = ["compare", SMALL, SMALLER, *options, f"--output={folder}"]
    second = folder / "vit-depth=1-dim=8-seed0"
    with here(monkeypatch):  # the first run is there already
        eanet.compare(SMALL, output=folder, **QUICK)

    stopped = start(command, *arguments, output=out, log=log)
    deadline = time.monotonic() + 240
    while not (second / "history.csv").is_file() and stopped.is_alive():
        if time.monotonic() > deadline:
            os.killpg(stopped.pid, signal.SIGKILL)
            pytest.fail(f"the second run did not begin: {log.read_text()}")
        time.sleep(0.05)
    os.killpg(stopped.pid, signal.SIGINT)  # as a terminal does
    stopped.join(120)
    assert (stopped.exitcode, out.read_text()) == (130, ""), log.read_text()
    err = log.read_text()
    assert "interrupted and saved" in err
    assert err.endswith("stopped at run 2 of 2; the same command resumes it\n")
    assert "Traceback" not in err
    assert not (second / PREDICTIONS).exists()

    capsys.readouterr()
    with here(monkeypatch):
        assert main(arguments) == 0
    table, err = capsys.readouterr()
    assert err.startswith("run 1 of 2: vit:depth=1,dim=16, seed 0: already done\n")
    assert "run 2 of 2: vit:depth=1,dim=8, seed 0: resuming\n" in err
    assert len((second / "history.csv").read_text().splitlines()) == 1 + 12
    heads, first, other, *_ = table.splitlines()
    assert heads.split()[:4] == ["model", "top-1,", "%", "difference"]
    assert first.startswith("vit:depth=1,dim=16 ")
    assert other.startswith("vit:depth=1,dim=8 ")
    assert "not the models with other seeds" in table
    assert table.endswith(f"wrote {folder / 'comparison.html'}\n")
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
