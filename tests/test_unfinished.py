from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

import eanet
from eanet import unfinished
from eanet.errors import EanetError
from eanet.files import replacing, replacing_together
from eanet.model_files.weights_file import read_metadata


@pytest.fixture(autouse=True)
def as_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for what others have left, wherever this process has looked before."""
    monkeypatch.setattr(unfinished, "_tidied", set())


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """What a killed writer has left."""
    script = (
        "import sys, time; from pathlib import Path; from eanet.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); print(partial, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "x.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with replacing(tmp_path / "other.txt"):
            assert left.exists(), "its writer still lives"
        process.send_signal(signal.SIGKILL)
    assert left.exists()
    unfinished._tidied.clear()
    return left


def test_each_writer_has_a_file_of_its_own_and_the_last_wins(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    with replacing(path) as one:
        with replacing(path) as other:
            assert one != other
            one.write_text("one")
            other.write_text("other")
        assert path.read_text() == "other"
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_by_the_next(killed: Path) -> None:
    with replacing(killed.with_name("y.txt")):
        assert not killed.exists()


def test_what_another_machine_may_be_writing_stays_for_a_day(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_machine", lambda: "other")
    with replacing(killed.with_name("y.txt")):
        assert killed.exists()
    unfinished._tidied.clear()
    long_ago = killed.stat().st_mtime - 25 * 3600
    os.utime(killed, (long_ago, long_ago))
    with replacing(killed.with_name("y.txt")):
        assert not killed.exists()


def test_where_there_are_no_locks_only_time_tells(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "fcntl", None)
    with replacing(killed.with_name("y.txt")) as partial:
        assert killed.exists()
        partial.write_text("done")
    assert killed.with_name("y.txt").read_text() == "done"


def test_a_file_taken_for_abandoned_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, calls = unfinished._lock, []

    def late(descriptor: int, *, wait: bool = False) -> bool:
        if not calls:
            for file in tmp_path.iterdir():
                file.unlink()
        calls.append(descriptor)
        return lock(descriptor, wait=wait)

    monkeypatch.setattr(unfinished, "_lock", late)
    with replacing(tmp_path / "x.txt") as partial:
        assert partial.exists()
    assert (tmp_path / "x.txt").exists()


def test_files_written_together_appear_together_or_not_at_all(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "folder/c.txt")]

    def write(text: str, *, fails: bool = False) -> Iterator[None]:
        with replacing_together(tmp_path):
            for path in paths:
                with replacing(path) as partial:
                    partial.write_text(text)
            yield
            if fails:
                raise EanetError("the fourth cannot be drawn")

    writers = {text: (copy_context(), write(text)) for text in ("one", "other")}
    for context, writer in writers.values():
        context.run(next, writer)
    assert not any(path.exists() for path in paths)
    for text, (context, writer) in writers.items():
        assert context.run(next, writer, None) is None
        assert {path.read_text() for path in paths} == {text}
    with pytest.raises(EanetError, match="the fourth"):
        list(write("third", fails=True))
    assert {path.read_text() for path in paths} == {"other"}
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == paths


def test_savers_of_one_model_do_not_mix_what_they_save(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def save(number: int) -> None:
        model = eanet.create_model("keras_mlp:num_transformer_blocks=1", classes=[str(number), "b"])
        start.wait()
        for _ in range(5):
            eanet.save_model(model, tmp_path)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(save, range(4)))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    (copy,) = [(tmp_path / "config.json").read_text("utf-8")]
    assert f'"{read_metadata(tmp_path / "model.safetensors")["classes"][0]}"' in copy


def test_evaluations_of_one_run_at_once_all_succeed(
    trained: eanet.TrainingResult, tmp_path: Path
) -> None:
    run = shutil.copytree(trained.path, tmp_path / "run")
    before = {file.name for file in run.iterdir()}
    with ThreadPoolExecutor(4) as threads:
        reports = list(threads.map(lambda _: eanet.evaluate(run), range(4)))
    assert len({report.files for report in reports}) == 1
    assert all(file.is_file() for file in reports[0].files)
    assert {file.name for file in run.iterdir()} == before
