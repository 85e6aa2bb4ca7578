from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import eanet
from eanet.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run(trained: eanet.TrainingResult, tmp_path: Path) -> Path:
    return shutil.copytree(trained.path, tmp_path / "run")


def test_pictures_go_into_the_run_and_a_second_time_beside_the_first(
    run: Path, photos: Path, capsys: Capture
) -> None:
    image = photos / "red" / "00.png"
    pictures = [run / "explain" / name for name in ("00.png", "00-2.png")]
    for picture in pictures:
        assert main(["explain", str(run), str(image)]) == 0
        assert capsys.readouterr() == (f"wrote {picture}\n", "")
        with Image.open(picture) as drawn:
            assert drawn.format == "PNG"


def test_images_of_one_name_in_different_folders_do_not_collide(
    run: Path, photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [photos / name / "00.png" for name in ("red", "blue")]
    out = tmp_path / "why"
    (out / "red").mkdir(parents=True)
    (out / "red" / "00.png").write_text("somebody's")
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(map(str, images))))
    assert main(["explain", str(run), "-", "--output", str(out), "--slots", "2"]) == 0
    expected = [out / "red" / "00-2.png", out / "blue" / "00.png"]
    assert capsys.readouterr().out == "".join(f"wrote {path}\n" for path in expected)
    assert (out / "red" / "00.png").read_text() == "somebody's"


def test_unreadable_images_are_named_and_skipped(
    run: Path, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "bad.jpg").write_text("text")
    shutil.copy(photos / "red" / "00.png", inbox)
    assert main(["explain", str(run), str(inbox)]) == 1
    out, err = capsys.readouterr()
    assert out == f"wrote {run / 'explain' / '00.png'}\n"
    assert err == f"eanet: error: cannot read image {inbox / 'bad.jpg'}: not an image\n"


def test_beside_a_model_file_the_pictures_go_here_also_from_python(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (picture,) = eanet.explain(
        run / "model.safetensors", photos / "red" / "00.png", class_name="green"
    )
    assert picture == Path("explain/00.png")
    assert (tmp_path / picture).is_file()
    several = [photos / "red" / "01.png", str(photos / "green" / "01.png")]
    assert [str(path) for path in eanet.explain(run, several, output="why")] == [
        "why/red/01.png",
        "why/green/01.png",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "redd"], "unknown class 'redd'; did you mean 'red'?"),
        (["--layer", "99"], "layer=99: eanet_nano has no such block with attention; known: 8"),
        (["--slots", "0"], "slots=0: should be 1 or more"),
    ],
)
def test_wrong_arguments_write_nothing(
    refused: Callable[..., tuple[int, str]],
    run: Path,
    photos: Path,
    arguments: list[str],
    message: str,
) -> None:
    code, line = refused("explain", run, photos / "red" / "00.png", *arguments)
    assert code == 2
    assert line.startswith(message)
    assert not (run / "explain").exists()


def test_another_library_computes_what_an_answer_rests_on(
    run: Path, photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained = []
    monkeypatch.setattr(
        "eanet.explanation.files.plot_explanation",
        lambda explanation, path, **_: explained.append(explanation) or path,
    )
    for runtime in ("torch", "openvino"):
        options = ["--output", str(tmp_path), "--runtime", runtime]
        assert main(["explain", str(run), str(photos / "red" / "00.png"), *options]) == 0
    own, other = explained
    assert own.maps is not None
    assert other.maps is None
    assert other.regions.losses == pytest.approx(own.regions.losses, abs=1e-3)
