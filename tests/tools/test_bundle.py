"""What goes into the package is what was measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import eanet
from eanet.cli import main
from eanet.errors import EanetError
from eanet.model_files import find
from eanet.model_files.weights_file import read_metadata
from eanet.models import load_model, save_model
from eanet.models.unknown import DetectorFit, UnknownDetector
from eanet.report.evaluate import evaluate
from tools import bundle


@pytest.fixture
def run(trained: eanet.TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(find, "BUNDLED", tmp_path / "weights")
    return shutil.copytree(trained.path, tmp_path / "run")


def test_a_bundled_model_is_that_of_the_run_and_tells_its_training(
    run: Path, trained: eanet.TrainingResult, capsys: pytest.CaptureFixture[str]
) -> None:
    file = bundle.bundle(run, "photos")
    loaded, own = load_model("photos").state_dict(), load_model(run).state_dict()
    assert all(torch.equal(loaded[name], own[name]) for name in own)
    training = read_metadata(file)["training"]
    assert training["top1"] == trained.metrics["top1"]
    assert (training["data"], training["seed"], training["epochs"]) == ("photos", 0, 2)
    assert training["eanet"] == eanet.__version__
    assert main(["models"]) == 0
    line = capsys.readouterr().out.splitlines()[-2]
    assert line.startswith("photos ")
    assert f"photos  3        {trained.metrics['top1']:.2%}" in line


def test_the_detector_of_unknown_images_stays_behind(run: Path) -> None:
    model = load_model(run)
    model.detector = UnknownDetector(model.head.in_features, 3, DetectorFit(0.25, 27, 3))
    save_model(model, run)
    bundle.bundle(run, "known")
    assert load_model("known").detector is None
    assert "unknown" not in read_metadata(find.find_model("known"))


def test_a_bundled_model_is_evaluated_on_the_data_that_it_names(
    run: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.bundle(run, "small")
    monkeypatch.chdir(photos.parent)
    report = evaluate("small", output=run / "again")
    assert (report.data, report.split) == ("photos", "all")


def test_half_precision_halves_the_file_and_leaves_the_normalisation(run: Path) -> None:
    whole = bundle.bundle(run, "whole").stat().st_size
    assert bundle.bundle(run, "half", half=True).stat().st_size < 0.6 * whole
    half, own = load_model("half"), load_model(run)
    assert torch.equal(half.normalization.mean, own.normalization.mean)
    assert half.head.weight.dtype == torch.float32


def test_another_score_or_too_large_a_file_leaves_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "MOST_BYTES", 1000)
        with pytest.raises(EanetError, match="bytes are more than 1,000"):
            bundle.bundle(run, "photos")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | {"top1": 0.5}))
    with pytest.raises(EanetError, match=r"top1 is 100.0000%, of the run 50.0000%"):
        bundle.bundle(run, "photos")
    assert list(find.BUNDLED.iterdir()) == []
