"""Files of a run with other types inside: one line that names the file."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from eanet.comparison.runs import PEAK_MEMORY, PREDICTIONS, Predictions, read_peak_memory
from eanet.config import RUN_CONFIG
from eanet.errors import EanetError
from eanet.training.range_test import SEARCH, RangeTest
from eanet.training.run_directory import CHECKPOINT, HISTORY, RunDirectory
from eanet.training.state import State

HEAD = "epoch,learning_rate,train_loss,train_accuracy,images_per_second,seconds\n"
CONFIG = "settings: {}\nresolved: {model: vit, recipe: x, image_size: 8, name: r, %s}\ndata: %s\n"
ANSWERS = {"test_images": "t", "parameters": 1, "multiply_adds": 1, "images": 8, "top1": "gA=="}


def checkpoint(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


class Attack:
    def __reduce__(self) -> Any:
        return os.mkdir, ("attacked",)


def compressed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000))
    return file.getvalue()


def read_checkpoint(run: Path) -> object:
    return RunDirectory(run).read_checkpoint()


def read_history(run: Path) -> object:
    return RunDirectory(run).read_history()


def read_config(run: Path) -> object:
    return RunDirectory(run).read_config()


def read_search(run: Path) -> object:
    return RangeTest.read(run / SEARCH)


FILES: list[tuple[Callable[[Path], object], str, Any]] = [
    (read_history, HISTORY, "seconds\n1\n"),
    (read_history, HISTORY, f"{HEAD}1,2,3\n"),
    (read_history, HISTORY, f"{HEAD}1,2,3,4,5,6,7\n"),
    (read_history, HISTORY, f"{HEAD}a,2,3,4,5,6\n"),
    (read_history, HISTORY, f"{HEAD}inf,2,3,4,5,6\n"),
    (read_history, HISTORY, f"{HEAD}1,2,3,4,5,nan\n"),
    (read_history, HISTORY, f"{HEAD}1,2,3,4,-5,6\n"),
    (read_history, HISTORY, b"\xff\xfe"),
    (read_history, HISTORY, "x" * 200_000),
    (read_search, SEARCH, "learning_rate,loss\n"),
    (read_search, SEARCH, "learning_rate,loss\n0,1\n"),
    (read_search, SEARCH, "learning_rate,loss\n1,inf\n"),
    (read_config, RUN_CONFIG, "settings: {5: 6}\nresolved: {}\ndata: {}\n"),
    (read_config, RUN_CONFIG, CONFIG % ("epochs: [1]", "{}")),
    (read_config, RUN_CONFIG, CONFIG % ("data: {a: b}", "{}")),
    (read_config, RUN_CONFIG, CONFIG % ("name: 5", "{name: x, fingerprint: 5}")),
    (read_config, RUN_CONFIG, CONFIG % ("name: x", "{name: x, fingerprint: f, images: {a: b}}")),
    (read_checkpoint, CHECKPOINT, b""),
    (read_checkpoint, CHECKPOINT, b"no zip"),
    (read_checkpoint, CHECKPOINT, checkpoint([5])),
    (read_checkpoint, CHECKPOINT, checkpoint({"model": {}, "progress": 5})),
    (read_checkpoint, CHECKPOINT, checkpoint({"model": Attack()})),
    (read_checkpoint, CHECKPOINT, compressed()),
    (Predictions.read, PREDICTIONS, "[]"),
    (Predictions.read, PREDICTIONS, "{"),
    (Predictions.read, PREDICTIONS, json.dumps(ANSWERS)),
    (Predictions.read, PREDICTIONS, json.dumps({**ANSWERS, "top5": "gA==", "images": 10**12})),
    (Predictions.read, PREDICTIONS, json.dumps({**ANSWERS, "top5": "gA==", "images": -1})),
    (Predictions.read, PREDICTIONS, json.dumps({**ANSWERS, "top5": "*"})),
    (Predictions.read, PREDICTIONS, json.dumps({**ANSWERS, "top5": 5})),
    (read_peak_memory, PEAK_MEMORY, "5"),
    (read_peak_memory, PEAK_MEMORY, '{"bytes": "x"}'),
]


@pytest.mark.parametrize(("read", "name", "content"), FILES)
def test_a_file_of_other_types_is_named_in_one_line(
    read: Callable[[Path], object],
    name: str,
    content: str | bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EanetError, match=str(tmp_path / name)) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"epoch": "x"},
        {"history": [5]},
        {"history": [{"epoch": "a"}]},
        {"sums": torch.zeros(5)},
        {"sums": torch.zeros(4, dtype=torch.int64)},
        {"sums": [0, 0, 0, 0]},
        {"best_loss": None},
        {"epoch": -1},
        5,
    ],
    ids=str,
)
def test_a_state_of_other_types_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        State.parse(values)


def test_a_state_is_read_as_it_was_saved() -> None:
    saved = State(epoch=3, history=[{"epoch": 3, "seconds": 1.5}], finished=True)
    read = State.parse(vars(saved))
    assert vars(read).keys() == vars(saved).keys()
    assert torch.equal(read.sums, saved.sums)
    assert [type(value) for value in read.history[0].values()] == [int, float]
