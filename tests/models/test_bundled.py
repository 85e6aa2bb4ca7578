"""Trained models that come with the package, and what else the name of a model may mean."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import eanet
from eanet import EanetError, create_model, load_model, save_model
from eanet.cli import main
from eanet.model_files import find
from eanet.model_files.weights_file import read_metadata

pytestmark = pytest.mark.usefixtures("undrawn")

NAME = "eanet_tiny_photos"


@pytest.fixture
def bundled(trained: eanet.TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of the package's: a folder with the model of a short training."""
    monkeypatch.setattr(find, "BUNDLED", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    return shutil.copy(
        trained.path / "model.safetensors", tmp_path / "weights" / f"{NAME}.safetensors"
    )


def test_what_comes_with_the_package_is_small_and_says_how_it_was_trained() -> None:
    for name, file in find.bundled_models().items():
        assert file.stat().st_size <= 1_600_000
        training = read_metadata(file)["training"]
        assert {"data", "recipe", "epochs", "seed", "date", "top1", "top5"} <= training.keys(), name


def test_a_bundled_model_is_called_by_its_name_wherever_a_run_is(
    bundled: Path, trained: eanet.TrainingResult, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_model(NAME).config == load_model(trained.path).config
    image = photos / "red" / "00.png"
    assert eanet.load(NAME).predict(image) == eanet.load(trained.path).predict(image)
    assert main(["predict", NAME, str(image), "--top", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"{image}: ")
    assert main(["evaluate", NAME, "--data", str(photos)]) == 0
    assert f"wrote runs/{NAME}/photos-all/report.html" in capsys.readouterr().out
    assert find.model_digest(NAME) == find.model_digest(trained.path)


def test_what_lies_at_a_path_wins_over_a_bundled_model_of_that_name(bundled: Path) -> None:
    save_model(create_model("vit", num_classes=2, depth=1), Path(NAME))
    assert load_model(NAME).config.name == "vit"
    assert load_model(bundled).config.name != "vit"
    shutil.move(Path(NAME) / find.WEIGHTS_FILE, "file")
    shutil.rmtree(NAME)
    shutil.move("file", NAME)
    assert load_model(NAME).config.name == "vit"


def test_a_wrong_name_is_answered_with_the_nearest_and_the_other_kinds(
    bundled: Path, photos: Path, refused: Callable[..., tuple[int, str]]
) -> None:
    image = str(photos / "red" / "00.png")
    for command in (["evaluate"], ["predict", image], ["train", "--init"]):
        where = "eanet_tiny_photo"
        arguments = [*command, where] if "--init" in command else [command[0], where, *command[1:]]
        code, line = refused(*arguments)
        assert code == 2
        assert line == (
            "no such run directory or model file, not an OWNER/NAME on the Hub, and unknown "
            f"bundled model '{where}'; did you mean '{NAME}'?"
        )


def test_a_misspelled_bundled_model_is_not_taken_for_a_run_whose_name_is_less_like_it(
    bundled: Path, trained: eanet.TrainingResult
) -> None:
    shutil.copytree(trained.path, find.RUNS / "s2-eanet_tiny")
    with pytest.raises(EanetError, match=rf"did you mean '{NAME}'\?$"):
        load_model("eanet_tiny_ph")
    with pytest.raises(EanetError, match=r"did you mean 'runs/s2-eanet_tiny'\?$"):
        load_model("s2-eanet_tin")


def test_an_empty_name_is_not_the_model_in_the_folder_at_hand(
    bundled: Path, monkeypatch: pytest.MonkeyPatch, trained: eanet.TrainingResult
) -> None:
    monkeypatch.chdir(trained.path)
    with pytest.raises(EanetError, match=r"^the name of the model is empty$"):
        load_model("")


def test_the_list_of_models_tells_what_comes_trained(
    bundled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (head,) = (line for line in lines if line.startswith("bundled model"))
    (line,) = (line for line in lines if line.startswith(NAME))
    assert head.split()[-1] == "MB"
    assert line.split()[-1] == f"{bundled.stat().st_size / 1e6:.2f}"
    assert "16 x 16" in line
