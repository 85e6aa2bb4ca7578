"""A model that answers for several views of each image."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import eanet
from eanet.cli import main
from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.metrics.evaluation import evaluate_model
from eanet.report.views import views_metrics
from tests.support.reports import Reader

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def run(trained: eanet.TrainingResult, tmp_path: Path) -> Path:
    """A copy of the trained run, so that tests may write into it."""
    return Path(shutil.copytree(trained.path, tmp_path / "run"))


def test_the_report_says_what_views_gain_and_the_run_answers_with_them(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = photos / "red/00.png"
    before = eanet.load(run, runtime="torch").predict(image)[0]
    assert main(["evaluate", str(run), "--views", "5"]) == 0
    out = capsys.readouterr().out
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["views"] == 5
    gain = metrics["top1"] - metrics["single_view_top1"]
    assert metrics["views_gain"] == pytest.approx(gain)
    assert metrics["views_gain_low"] <= gain <= metrics["views_gain_high"]
    assert metrics["views_cost"] > 0
    assert f"5 views: top-1 {100 * gain:+.2f} points against the image alone" in out
    assert "Views of an image" in Reader((run / "report.html").read_text("utf-8")).text
    after = eanet.load(run, runtime="torch").predict(image)[0]
    assert eanet.load_model(run).views == 5
    assert after.probabilities != before.probabilities
    assert eanet.evaluate(run).metrics["views"] == 5, "also without being asked again"
    eanet.evaluate(run, views=1)
    assert eanet.load(run, runtime="torch").predict(image)[0] == before


def test_what_views_gain_is_as_uncertain_as_its_groups(run: Path) -> None:
    model = eanet.load_model(run)
    model.views = 5
    side = model.config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (40, side, side, 3), dtype=np.uint8)
    fourfold = np.repeat(pixels, 4, axis=0)
    labels = np.repeat(np.arange(40) % 3, 4)
    alone = ImageSet(fourfold, labels, model.config.classes)
    widths = []
    for images in (alone, replace(alone, groups=np.repeat(np.arange(40), 4))):
        metrics = views_metrics(model, images, evaluate_model(model, images), "cpu")
        widths.append(metrics["views_gain_high"] - metrics["views_gain_low"])
    assert widths[1] > 1.5 * widths[0], "four copies tell no more than one"


def test_mirrored_views_are_for_what_was_trained_on_mirrored_images(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EanetError, match="views=2: the run was not trained on mirrored images"):
        eanet.evaluate(run, views=2)
    with pytest.raises(EanetError, match="views=3: should be 1, 2, 5, 10"):
        eanet.evaluate(run, views=3)
    file = shutil.copy(run / "model.safetensors", tmp_path / "bare.safetensors")
    eanet.evaluate(file, views=2, data=photos, output=tmp_path / "out")
    assert "it is not known whether a mirrored image" in capsys.readouterr().err


@pytest.mark.slow
def test_other_runtimes_and_exported_files_answer_alike(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
    torch.manual_seed(0)
    model = eanet.create_model("vit:depth=1,dim=16,heads=2", classes=["a", "b"], image_size=16)
    torch.nn.init.normal_(model.head.weight)
    model.views = 5
    run = eanet.save_model(model, tmp_path).parent
    images = sorted((photos / "red").glob("*.png"))[:4]
    expected = eanet.load(run, runtime="torch").predict(images)
    file = eanet.export(run).path
    for where, runtime in ((run, "openvino"), (file, "onnxruntime")):
        found = eanet.load(where, runtime=runtime)
        assert found.runtime.metadata["views"] == 5
        for one, other in zip(expected, found.predict(images), strict=True):
            assert one.classes == other.classes
            np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-3)


def test_a_training_validates_with_the_views_that_it_saves(photos: Path, tmp_path: Path) -> None:
    quick = {"image_size": 16, "epochs": 1, "compile": "off", "threads": 1, "precision": "fp32"}
    result = eanet.train(
        photos, views=5, model="vit:depth=1,dim=16,heads=2", output=tmp_path, **quick
    )
    assert eanet.load_model(result.path).views == 5
    report = eanet.evaluate(result.path, split="validation", output=tmp_path / "validation")
    assert report.metrics["top1"] == pytest.approx(result.epochs[0]["val_accuracy"])
