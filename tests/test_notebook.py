"""What objects show of themselves: one line, and HTML where a notebook asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import eanet
from eanet.benchmarking.figures import ModelFigures, RuntimeFigures, Spread
from eanet.benchmarking.models import Benchmark
from eanet.comparison.compare import Comparison
from eanet.data.imageset import ImageSet
from eanet.deploy.prediction import Prediction
from eanet.report.report import Report
from eanet.report.result import TrainingResult
from eanet.training.notebook import NotebookDisplay
from tests.support.comparisons import make_entries
from tests.support.pictures import history
from tests.support.process_state import state_of_process
from tests.support.reports import Reader, make_report

HOSTILE = "<script>alert(1)</script>"
SPREAD = Spread(330.0, 300.0, 350.0, 9)


@pytest.fixture(scope="module")
def shown(trained: TrainingResult, photos: Path, tmp_path_factory: Any) -> dict[str, Any]:
    """An object of each kind, with a class called `HOSTILE` where there can be one."""
    data = eanet.load_dataset(photos, image_size=16)
    names = (HOSTILE, *data.train.classes[1:])
    predictor = eanet.load(trained, runtime="torch")
    pictures = eanet.explain(
        trained,
        np.zeros((20, 30, 3), np.uint8),
        output=tmp_path_factory.mktemp("explained"),
        slots=1,
    )
    spread = ModelFigures(HOSTILE, 10, 20, SPREAD, SPREAD, SPREAD, 2**20)
    library = RuntimeFigures(HOSTILE, "openvino", "fp32", SPREAD, SPREAD)
    return {
        "TrainingResult": replace(trained, path=Path(HOSTILE)),
        "Report": make_report((HOSTILE, "bee", "cat")),
        "Comparison": Comparison(Path("runs"), tuple(make_entries([0.8, 0.7])), ()),
        "Benchmark": Benchmark((spread,), (library,), ()),
        "Predictor": predictor,
        "Prediction": Prediction((HOSTILE, "bee"), (0.75, 0.25), 1.5),
        "Predictions": predictor.predict([*sorted(photos.glob("red/*.png"))]),
        "Dataset": replace(data, train=replace(data.train, classes=names)),
        "ImageSet": replace(data.train, classes=names),
        "Pictures": pictures,
    }


KINDS = [
    *("TrainingResult", "Report", "Comparison", "Benchmark", "Predictor", "Prediction"),
    *("Predictions", "Dataset", "ImageSet", "Pictures"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_shows_itself_without_scripts_or_other_addresses(
    kind: str, shown: dict[str, Any]
) -> None:
    html = shown[kind]._repr_html_()
    page = Reader(html)
    assert HOSTILE not in html
    assert "script" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(a.startswith("data:image/") for a in page.addresses if not a.startswith("#"))
    assert len(page.text.split()) > 5
    assert len(html) < 500_000


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("Predictions", "Pictures")]
)
def test_its_repr_is_one_short_line(kind: str, shown: dict[str, Any]) -> None:
    text = repr(shown[kind])
    assert text.startswith(f"{kind}(")
    assert len(text) < 300
    assert "\n" not in text


def test_what_they_say(shown: dict[str, Any], trained: TrainingResult) -> None:
    assert (
        repr(shown["Prediction"])
        == f"Prediction({HOSTILE} 75.0%, bee 25.0%, unknown: distance 1.50)"
    )
    assert repr(shown["ImageSet"]) == "ImageSet(27 images of 16 x 16 pixels in 3 classes)"
    assert "27 train, 3 validation, 6 test images" in repr(shown["Dataset"])
    assert "top-1 100.0% (61.0% to 100.0%) of 6 images" in repr(trained)
    assert "3 classes, 16 x 16 pixels, torch on cpu in fp32" in repr(shown["Predictor"])
    table = shown["Comparison"]._repr_html_()
    assert "95% t interval" in table
    assert table.count('<th scope="row">') == 2


def test_a_sheet_has_images_of_every_class_and_the_answers(shown: dict[str, Any]) -> None:
    images = shown["ImageSet"].sheet()
    assert {image.answer for image in images} == set(shown["ImageSet"].classes)
    assert [image.answer for image in shown["ImageSet"].sheet(3)] == [HOSTILE, "green", "red"]
    page = Reader(shown["Predictions"]._repr_html_())
    assert page.tags["figure"] == 12
    assert "00.png" in page.text


def test_many_predictions_keep_few_images_and_files_that_are_gone_are_left_out(
    trained: TrainingResult, photos: Path, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.png" for number in range(30)]
    for file in files:
        file.write_bytes((photos / "red" / "00.png").read_bytes())
    predictions = eanet.load(trained, runtime="torch").predict(files)
    assert Reader(predictions._repr_html_()).tags["figure"] == 24
    assert "and 6 more" in predictions._repr_html_()
    for file in files:
        file.unlink()
    assert Reader(predictions._repr_html_()).tags["figure"] == 0
    assert isinstance(predictions, list)


def test_an_image_may_be_anything_that_holds_one(trained: TrainingResult, photos: Path) -> None:
    file = photos / "red" / "00.png"
    with Image.open(file) as opened:
        picture = opened.copy()
    array = np.asarray(picture)
    predictor = eanet.load(trained, runtime="torch")
    expected = predictor.predict(file)
    first = torch.from_numpy(
        array.transpose(2, 0, 1).copy()
    )  # channels first, as tensors have them
    for image in (str(file), picture, array, array / np.float32(255), first):
        assert predictor.predict(image) == expected
    # Batches are computed in another order, which changes the last bits.
    for images in ([file, array], np.stack([array, array])):
        assert repr(list(predictor.predict(images))) == repr(expected * 2)
    with pytest.raises(eanet.EanetError, match=r"an image is a path, .* or an array, not int"):
        predictor.predict(5)  # type: ignore[arg-type]


def test_pictures_are_explained_from_memory(
    trained: TrainingResult, photos: Path, tmp_path: Path
) -> None:
    with Image.open(photos / "red" / "00.png") as picture:
        made = eanet.explain(
            trained, [picture, np.asarray(picture), photos / "red" / "00.png"], output=tmp_path
        )
    assert [path.name for path in made] == ["image.png", "image-2.png", "00.png"]
    assert len({path.read_bytes() for path in made}) == 2, "two with one name, one with another"
    with pytest.raises(eanet.EanetError, match=r"an image is a path, .*, not dict"):
        eanet.explain(trained, [{}], output=tmp_path)


def test_a_result_stands_for_its_run(trained: TrainingResult) -> None:
    assert Path(trained) == trained.path
    assert eanet.load(trained, runtime="torch").classes == ("blue", "green", "red")


def test_names_may_be_one_list() -> None:
    for function in (eanet.benchmark, eanet.compare):
        with pytest.raises(eanet.EanetError, match="unknown model 'vti'; did you mean 'vit'"):
            function(["vti", "keras_vit"])
        with pytest.raises(eanet.EanetError, match="given by its name, not by int"):
            function(["vit", 5])


def test_other_calls_leave_everything_as_it_was(
    trained: TrainingResult, photos: Path, tmp_path: Path
) -> None:
    file = photos / "red" / "00.png"
    calls: dict[str, Callable[[], Any]] = {
        "evaluate": lambda: eanet.evaluate(trained, data=photos, output=tmp_path / "report"),
        "show": lambda: trained._repr_html_(),
        "explain": lambda: eanet.explain(trained, file, output=tmp_path),
        "predict": lambda: eanet.load(trained, runtime="torch").predict([file] * 40),
        "load_dataset": lambda: eanet.load_dataset((np.zeros((9, 8, 8)), [0, 1, 2] * 3)),
    }
    for name, call in calls.items():
        before = state_of_process()
        call()
        after = state_of_process()
        known = before["levels"].keys()
        after["levels"] = {k: level for k, level in after["levels"].items() if k in known}
        assert after == before, name


def without_pandas(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("eanet.tables.find_spec", lambda name: None)


def test_results_are_columns_without_pandas(
    trained: TrainingResult, shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pandas(monkeypatch)
    history = trained.history
    assert history["epoch"] == [1, 2]
    assert history["val_accuracy"] == [row["val_accuracy"] for row in trained.epochs]
    table = shown["Comparison"].table
    assert table["model"] == ["vit:depth=1", "vit:depth=2"]
    assert table["difference"][0] is None
    assert table["difference"][1] == pytest.approx(-0.1, abs=0.02)
    predictions = shown["Report"].predictions
    evaluation = shown["Report"].evaluation
    each = [f"P({name})" for name in evaluation.classes]
    assert list(predictions) == ["image", "true", "predicted", "probability", *each]
    right = [t == p for t, p in zip(predictions["true"], predictions["predicted"], strict=True)]
    assert np.mean(right) == evaluation.top(1)


def test_results_are_data_frames_with_pandas(
    trained: TrainingResult, shown: dict[str, Any]
) -> None:
    pandas = pytest.importorskip("pandas")
    tables = (trained.history, shown["Comparison"].table, shown["Report"].predictions)
    assert all(isinstance(table, pandas.DataFrame) for table in tables)
    assert tables[0].set_index("epoch").val_accuracy.loc[2] == trained.epochs[1]["val_accuracy"]
    assert tables[1].difference.isna().tolist() == [True, False]


class Drawn:
    """What a place in a notebook was drawn as."""

    def __init__(self) -> None:
        self.pages: list[Reader] = []
        self.texts: list[str] = []

    def draw(self, html: str, text: str) -> None:
        self.pages.append(Reader(html))
        self.texts.append(text)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[..., NotebookDisplay], Drawn]:
    drawn = Drawn()
    monkeypatch.setattr("eanet.training.notebook.Place", lambda: drawn)
    return NotebookDisplay, drawn


def test_a_training_is_one_block_with_a_bar_curves_and_then_a_table(display: Any) -> None:
    make, drawn = display
    rows = [row | {"images_per_second": 100.0} for row in history(3)]
    block = make()
    block.start_epoch("epoch 1/3", 10, 0)
    block.show(5, "100 images/s", "loss 1.000  accuracy 50.0%", "0:10 left")
    for fragment in ("epoch 1/3", "100 images/s", "accuracy 50.0%", "0:10 left"):
        assert fragment in drawn.pages[-1].text
    assert "width:50.0%" in drawn.pages[-1].values("i", "style")
    assert drawn.pages[-1].tags["polyline"] == 0
    for row in rows:
        block.end_epoch(row, f"epoch {row['epoch']}")
    points = [len(line.split()) for line in drawn.pages[-1].values("polyline", "points")]
    assert points == [3, 3, 3, 3]
    block.stop()
    assert drawn.pages[-1].tags["tr"] == 1 + 3
    assert drawn.texts[-1].splitlines()[:3] == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_loss_without_a_value_draws_no_curve(display: Any) -> None:
    make, drawn = display
    rows = [row | {"images_per_second": 100.0, "val_loss": float("nan")} for row in history(3)]
    make(rows).stop()
    assert drawn.pages[-1].tags["polyline"] == 3


def test_a_report_of_many_classes_shows_no_matrix() -> None:
    report = make_report([f"class {number}" for number in range(30)], 60)
    assert "matrix" not in {
        v for _, name, v in Reader(report._repr_html_()).attributes if name == "class"
    }
    few = make_report(["a", "b"])
    assert "matrix" in {v for _, name, v in Reader(few._repr_html_()).attributes if name == "class"}


def test_a_test_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    from eanet import notebooks

    for name in ("IPython", "ipykernel"):  # not even imported, as another test may have
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert not notebooks.in_notebook()
    assert not notebooks.is_watched()
    assert "ipykernel" not in sys.modules


def test_an_image_set_of_one_image_shows_it() -> None:
    one = ImageSet(np.zeros((1, 4, 4, 3), np.uint8), np.zeros(1, np.int64), ("a", "b"))
    assert Reader(one._repr_html_()).tags["figure"] == 1
    none = one.subset([])
    assert Reader(none._repr_html_()).tags["figure"] == 0
    assert isinstance(make_report(["a", "b"]), Report)
