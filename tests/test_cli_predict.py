from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import eanet
from eanet.cli import main
from eanet.cli.predict import _write_json
from eanet.console import notice_once
from eanet.deploy.prediction import Prediction
from eanet.deploy.predictor import Predictor
from eanet.model_files import find
from eanet.models import create_model, save_model
from eanet.models.unknown import DetectorFit, UnknownDetector
from tests.support.screen import Screen

Capture = pytest.CaptureFixture[str]

BUNDLED = "no model named before the images: using eanet_tiny_cifar100, with 3 classes\n"


@pytest.fixture
def bundled(trained: eanet.TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model of a short training in place of the one that comes with the package."""
    file = tmp_path / "bundled" / f"{find.DEFAULT_MODEL}.safetensors"
    file.parent.mkdir()
    shutil.copy(trained.path / "model.safetensors", file)
    monkeypatch.setattr(find, "BUNDLED", file.parent)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["{photos}/red/00.png"], 1),
        (["{photos}/red/00.png", "{photos}/blue"], 13),
        (["{photos}"], 36),
        (["{photos}/*/0[01]*"], 6),
        (["{photos}.zip"], 12),
        (["-"], 2),
    ],
    ids=["an image", "an image and a folder", "a folder", "a pattern", "an archive", "a list"],
)
@pytest.mark.usefixtures("bundled")
def test_where_images_come_first_the_bundled_model_answers_and_says_so(
    trained: eanet.TrainingResult,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    arguments: list[str],
    count: int,
) -> None:
    shutil.make_archive(str(photos), "zip", photos / "red")
    arguments = [argument.format(photos=photos) for argument in arguments]
    answers = []
    for model in ([], [str(trained.path)]):
        listing = f"{photos}/red/00.png\n{photos}/blue/00.png\n"
        monkeypatch.setattr(sys, "stdin", io.StringIO(listing))
        assert main(["predict", *model, *arguments]) == 0
        answers.append(capsys.readouterr())
    assert len(answers[0].out.splitlines()) == count
    assert answers[0].out == answers[1].out
    assert [answer.err for answer in answers] == [BUNDLED, ""]


@pytest.mark.usefixtures("bundled")
def test_a_run_has_pictures_in_it_and_is_a_model_all_the_same(
    refused: Callable[..., tuple[int, str]],
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    assert list(trained.path.glob("*.png"))
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    for name in ("config.yaml", "curves.png"):
        shutil.copy(trained.path / name, unfinished)
    for model in (trained.path, trained.path / "model.safetensors", "nothing", unfinished, ""):
        line = f"no image to classify: '{model}' is taken for a model; name images after it"
        assert refused("predict", model) == (2, line)
    assert refused("predict", unfinished, photos)[1].startswith("no model.safetensors in ")
    assert refused("predict", "", photos) == (2, "the name of the model is empty")


@pytest.mark.usefixtures("bundled")
def test_what_is_neither_a_model_nor_an_image_is_not_taken_for_an_image(
    refused: Callable[..., tuple[int, str]], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "weights.pt").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for name, message in [
        ("weights.pt", "is not a readable safetensors file"),
        ("empty", "no model.safetensors in "),
        ("gone", "no such run or model file: "),
    ]:
        assert message in refused("predict", tmp_path / name, photos)[1]
    assert refused("predict", "gone.jpg") == (1, "no such image or folder: gone.jpg")


def test_json_is_valid_whatever_the_name_of_the_file(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capfdbinary
) -> None:
    for name in (b"caf\xe9.png", "日本.png".encode()):
        image = tmp_path / os.fsdecode(name)
        shutil.copy(photos / "red" / "00.png", image)
        assert main(["predict", str(trained.path), str(image), "--format", "json"]) == 0
        sys.stdout.flush()
        line = capfdbinary.readouterr().out
        assert json.loads(line)["image"] == str(image)
        assert (name in line) == (name != b"caf\xe9.png")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_is_utf8_in_a_locale_of_another_encoding(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding, "backslashreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    _write_json(Path("käfer.png"), Prediction(("Käfer",), (0.9,)), is_sure=True)
    stream.flush()
    answer = json.loads(content.getvalue().decode())
    assert (answer["image"], answer["predictions"][0]["class"]) == ("käfer.png", "Käfer")


def test_below_the_threshold_an_answer_is_not_sure_in_every_format(
    trained: eanet.TrainingResult, photos: Path, capsys: Capture
) -> None:
    image = photos / "red" / "00.png"
    sure = eanet.load(trained.path).predict(image)[0].probabilities[0]
    told = {}
    for threshold in (sure - 1e-4, sure + 1e-4):
        for kind in ("table", "json", "csv"):
            arguments = ["--threshold", str(threshold), "--format", kind]
            assert main(["predict", str(trained.path), str(image), *arguments]) == 0
            told[threshold < sure, kind] = capsys.readouterr().out
    assert "not sure" not in told[True, "table"]
    assert told[False, "table"] == f"{image}: not sure\n"
    assert len(json.loads(told[True, "json"])["predictions"]) == 1
    nothing = {"image": str(image), "sure": False, "predictions": []}
    assert json.loads(told[False, "json"]) == nothing
    rows = list(csv.DictReader(io.StringIO(told[False, "csv"])))
    assert rows == [{"image": str(image), "class": "", "probability": "", "sure": "false"}]


def test_images_unlike_those_of_the_training_are_not_sure_unless_the_threshold_is_0(
    photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    image = photos / "red" / "00.png"
    model = create_model("vit", classes=["red", "green", "blue"], image_size=16, depth=1)
    model.detector = UnknownDetector(model.head.in_features, 3, DetectorFit(0.05, 27, 19))
    model.detector.whitening.fill_diagonal_(100.0)  # the means are 0: everything is far away
    run = save_model(model, tmp_path / "run").parent
    told = {}
    for kind in ("table", "json", "csv"):
        assert main(["predict", str(run), str(image), "--top", "1", "--format", kind]) == 0
        told[kind] = capsys.readouterr().out
    (best,) = eanet.load(run).predict(image)
    name, probability = best.top1, best.probabilities[0]
    assert told["table"] == f"{image}: not sure ({name} {probability:.1%})\n"
    answer = json.loads(told["json"])
    assert not answer["sure"]
    assert answer["distance"] == pytest.approx(best.distance, rel=1e-6)
    assert answer["predictions"][0]["class"] == name
    (row,) = csv.DictReader(io.StringIO(told["csv"]))
    assert (row["class"], row["sure"]) == (name, "false")
    arguments = ["predict", str(run), str(image), "--copy-to", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["not sure"]
    capsys.readouterr()
    for threshold in ("0", "0.01"):
        assert main([*arguments[:3], "--threshold", threshold, "--top", "1"]) == 0
        told[threshold] = capsys.readouterr().out
    assert told["0"] == f"{image}: {name} {probability:.1%}\n"
    assert told["0.01"] == told["table"]


def test_images_are_copied_into_the_folders_of_their_classes(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "sorted"
    shutil.copytree(photos, inbox)
    (inbox / "bad.jpg").write_text("text")
    arguments = ["predict", str(trained.path), str(inbox), "--top", "1", "--format", "json"]
    assert main([*arguments, "--copy-to", str(out)]) == 1
    lines, err = capsys.readouterr()
    assert f"36 of 37 images copied to {out}\n" in err
    assert "another answer" not in err
    answers = [json.loads(line) for line in lines.splitlines()]
    expected: dict[str, int] = {}
    for answer in answers:
        name = answer["predictions"][0]["class"]
        expected[name] = expected.get(name, 0) + 1
    assert {d.name: len(list(d.iterdir())) for d in out.iterdir()} == expected
    originals = {path.read_bytes() for path in inbox.rglob("*.png")}
    assert {path.read_bytes() for path in out.rglob("*.png")} == originals
    assert len(list(inbox.rglob("*.png"))) == 36

    assert main([*arguments, "--copy-to", str(out), "--threshold", "1"]) == 1
    assert len(list((out / "not sure").iterdir())) == 36
    assert "36 of them are in the folder of another answer there as well" in capsys.readouterr().err


def test_copies_among_the_images_are_not_classified_again(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    inbox = tmp_path / "inbox"
    shutil.copytree(photos / "red", inbox)
    arguments = ["predict", str(trained.path), "--copy-to", str(inbox / "sorted")]
    told = []
    for _ in range(2):
        assert main([*arguments, str(inbox)]) == 0
        told.append(capsys.readouterr())
    assert told[0] == told[1]
    assert len(told[0].out.splitlines()) == 12
    assert main([*arguments, str(inbox / "sorted")]) == 1
    error = f"eanet: error: all images are in {inbox / 'sorted'}: copy them to another folder\n"
    assert capsys.readouterr().err.endswith(error)


def test_an_archive_is_unpacked_and_each_image_in_it_answered(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(photos.glob("*/0[01].png")):
            archive.write(file, file.relative_to(photos))
    assert main(["predict", str(trained.path), str(tmp_path / "photos.zip")]) == 0
    files = [Path(line.split(": ")[0]) for line in capsys.readouterr().out.splitlines()]
    assert [file.parent.name for file in files] == ["blue"] * 2 + ["green"] * 2 + ["red"] * 2
    assert all(file.is_file() for file in files)


@pytest.mark.parametrize("answers_are_on_the_screen", [True, False])
def test_progress_is_shown_unless_the_answers_scroll_by(
    trained: eanet.TrainingResult,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    answers_are_on_the_screen: bool,
) -> None:
    terminal = Console(file=Screen(), force_terminal=True, width=120)
    monkeypatch.setattr("eanet.console.console", terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: answers_are_on_the_screen)
    assert main(["predict", str(trained.path), str(photos)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 36
    assert ("36/36" in terminal.file.getvalue()) != answers_are_on_the_screen


@pytest.mark.filterwarnings("error")
def test_odd_files_that_can_be_read_cause_no_warnings(
    trained: eanet.TrainingResult, tmp_path: Path, capsys: Capture
) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert main(["predict", str(trained.path), str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command",
    [
        "predict {run} {photos} --copy-to",
        "evaluate {run} --output",
        "datasets {photos} --output",
        "benchmark vit --output",
        "benchmark --tokens --output",
    ],
)
def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(
    refused: Callable[..., tuple[int, str]],
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(*_: object, **__: object) -> None:
        pytest.fail("the work has begun")

    for place in (
        "deploy.predictor.load",
        "report.evaluate.evaluate_model",
        "data.source.Source.load_splits",
        "benchmarking.models.in_own_process",
        "benchmarking.tokens.in_own_process",
    ):
        monkeypatch.setattr(f"eanet.{place}", work)
    file = tmp_path / "file"
    file.touch()
    arguments = [part.format(run=trained.path, photos=photos) for part in command.split()]
    assert refused(*arguments, file) == (1, f"cannot write to {file}: Not a directory")


def test_a_copy_that_cannot_be_written_is_one_line(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("red", "green", "blue"):
        (tmp_path / name).touch()
    arguments = ["predict", str(trained.path), str(photos / "red"), "--copy-to"]
    assert main([*arguments, str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("eanet: error: cannot copy ")


def test_a_command_that_is_interrupted_says_so_in_one_line_and_stops_its_threads(
    trained: eanet.TrainingResult,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    def interrupt(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = threading.active_count()
    monkeypatch.setattr("eanet.cli.predict._write_line", interrupt)
    # Programs that a shell has put into the background ignore Ctrl-C, and so would these tests.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["predict", str(trained.path), str(photos)]) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert capsys.readouterr() == ("", "eanet: interrupted\n")
    assert threading.active_count() == before


def test_threads_and_precision_are_as_asked(
    trained: eanet.TrainingResult,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[..., tuple[int, str]],
    capsys: Capture,
) -> None:
    seen = []
    real = Predictor.predict_files

    def witness(self: Predictor, *arguments: Any) -> Any:
        seen.append((self.precision, torch.get_num_threads()))
        return real(self, *arguments)

    monkeypatch.setattr(Predictor, "predict_files", witness)
    monkeypatch.setattr(eanet.device, "has_bf16", lambda device: False)
    notice_once.cache_clear()
    arguments = ["predict", str(trained.path), str(photos / "red"), "--runtime", "torch"]
    before = torch.get_num_threads()
    try:
        assert main([*arguments, "--threads", "3", "--precision", "bf16"]) == 0
    finally:
        torch.set_num_threads(before)
    assert "emulates bf16" in capsys.readouterr().err
    assert main(arguments) == 0
    assert seen == [("bf16", 3), ("fp32", before)]
    assert "emulates" not in capsys.readouterr().err
    assert refused(*arguments, "--threads", "0")[0] == 2


def test_a_name_on_stdin_may_hold_any_bytes(
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    path = os.fsencode(tmp_path) + b"/b\xe4r.png"
    shutil.copy(photos / "red" / "00.png", path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path + b"\n"), "utf-8"))
    assert main(["predict", str(trained.path), "-"]) == 0
    assert capsysbinary.readouterr().out.startswith(path + b": ")


def test_an_empty_folder_is_one_line(
    refused: Callable[..., tuple[int, str]], trained: eanet.TrainingResult, tmp_path: Path
) -> None:
    assert refused("predict", trained.path, tmp_path) == (1, f"no image in {tmp_path}")


@pytest.mark.parametrize("command", [["datasets", ""], ["train", ""], ["predict", "{run}", ""]])
def test_an_empty_name_is_not_the_folder_at_hand(
    refused: Callable[..., tuple[int, str]],
    trained: eanet.TrainingResult,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.chdir(photos)
    code, line = refused(*(part.format(run=trained.path) for part in command))
    assert code == 2
    assert line.endswith("is empty")


def test_an_image_on_standard_input_is_no_list_of_paths(
    photos: Path, refused: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (photos / "red" / "00.png").open(encoding="utf-8", errors="surrogateescape") as image:
        monkeypatch.setattr(sys, "stdin", image)
        code, line = refused("predict", "-")
    assert code == 2
    assert line.startswith("- stands for a list of paths on standard input, one per line, and not")


def test_a_file_may_be_called_like_an_option(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(photos / "red" / "00.png", "-x.png")
    shutil.copy(photos / "red" / "00.png", "--top.png")
    assert main(["predict", "--top", "1", "--", "-x.png", "--top.png"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "-x.png",
        "--top.png",
    ]


def test_a_mistyped_run_is_answered_with_the_nearest(
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    refused: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "photographs").mkdir(parents=True)
    shutil.copytree(trained.path, tmp_path / "runs" / "photos-eanet_nano")
    for typed in ("runs/photo-eanet_nano", "photos-eanet_nan", "./photos-eanet_nano"):
        _, line = refused("predict", typed, photos)
        assert line == (
            f"no such run or model file: {typed}; did you mean 'runs/photos-eanet_nano'?"
        )
    _, line = refused("train", "--resume", "runs/photo-eanet_nano")
    assert line.endswith("no config.yaml; did you mean 'runs/photos-eanet_nano'?")
    _, line = refused("predict", "runs/xyz", photos)
    assert "did you mean" not in line
