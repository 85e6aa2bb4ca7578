from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("command", ["train", "datasets", "compare"])
@pytest.mark.parametrize("output", ["look", "red/look", "."])
def test_results_are_not_written_where_they_would_become_a_class(
    command: str,
    output: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(shutil.copytree(photos, tmp_path / "own"))
    before = sorted(Path().rglob("*"))
    data = ["eanet_nano", "--data", "."] if command == "compare" else ["."]
    assert main([command, *data, "--output", output]) == 1
    assert f"results in {output} would become a class" in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


def test_results_may_lie_beside_the_folders_of_splits(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    shutil.copytree(photos, tmp_path / "train")
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", ".", "--output", "look"]) == 0
    capsys.readouterr()
    assert main(["datasets", ".", "--output", "train/look"]) == 1
    assert "would become a class" in capsys.readouterr().err


def test_a_first_look_counts_measures_and_names_what_is_wrong(
    photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    root, look = tmp_path / "own", tmp_path / "look"
    shutil.copytree(photos, root / "train")
    shutil.copytree(photos / "red", root / "val" / "red")
    (root / "train" / "red" / "bad.jpg").write_text("text")
    (root / "train" / "red" / "notes.txt").touch()
    shutil.rmtree(root / "train" / "blue")
    Image.new("L", (90, 40)).save(root / "val" / "red" / "gray.png")
    assert main(["datasets", str(root), "--output", str(look)]) == 0
    out, err = capsys.readouterr()
    copies = [f"  val/red/{i:02}.png: same pixels as train/red/{i:02}.png" for i in range(8)]
    assert [line.rstrip() for line in out.splitlines()] == [
        "own: 37 images of 2 classes",
        "class  train  validation",
        "green  12     0",
        "red    12     13",
        "all    24     13",
        "width      16 to 90 pixels, median 16",
        "height     16 to 40 pixels, median 16",
        "modes      RGB 36, L 1",
        "balance    12 training images of every class",
        "problems   1 unreadable, 1 unlike the others, 12 duplicates, no near-duplicates",
        "  train/red/bad.jpg: unreadable: not an image",
        "  val/red/gray.png: unlike the others: a single colour",
        *copies,
        "  and 4 more; --output writes them all",
        *(f"wrote {look / name}" for name in ("classes.png", "augmented.png", "problems.csv")),
    ]
    assert err.splitlines() == [
        "skipped 1 unreadable image: train/red/bad.jpg (not an image)",
        "1 image unlike the others, worth a look: val/red/gray.png (a single colour)",
        "ignored 1 file of other kinds (.txt)",
        "no validation images of green",
    ]
    assert len((look / "problems.csv").read_text().splitlines()) == 1 + 14
    with Image.open(look / "classes.png") as sheet:
        assert sheet.width > 300


def test_a_named_data_set_is_looked_at_alike_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "digits"]) == 0
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "digits: 1,797 images of 10 classes"
    assert lines[-3:] == [
        "size       8 x 8 pixels",
        "balance    1.05 to 1: 183 of '3', 174 of '8'",
        "problems   none",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [["--output", "look"], ["--image-size", "64"]])
def test_what_is_asked_of_no_images_is_refused(options: list[str], capsys: Capture) -> None:
    assert main(["datasets", *options]) == 2
    line = f"eanet: error: {options[0]} is for images: name these, eanet datasets DATA\n"
    assert capsys.readouterr() == ("", line)


def test_classes_of_unequal_sizes_are_told(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "own"
    shutil.copytree(photos, root)
    for file in sorted((root / "red").iterdir())[3:]:
        file.unlink()
    assert main(["datasets", str(root)]) == 0
    out = capsys.readouterr().out
    assert "balance    4 to 1: 12 of 'blue', 3 of 'red'\n" in out
    assert ", no near-duplicates\n" in out


@pytest.mark.filterwarnings("error")
def test_an_oversized_image_is_named_without_a_warning(
    photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = shutil.copytree(photos, tmp_path / "own")
    Image.new("L", (40, 30)).save(root / "red" / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert main(["datasets", str(root)]) == 0
    out, err = capsys.readouterr()
    assert "red/big.png: unreadable: more pixels than Pillow reads" in out
    assert "Warning" not in err


def test_what_cannot_be_looked_at_is_one_line(
    refused: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("empty").mkdir()
    Path("flat").mkdir()
    Image.new("L", (5, 5)).save("flat/x.png")
    Path("bad.csv").write_text("a,b\n1,2\n")
    Path("gone.csv").write_text("path,label\nx.png,a\ny.png,b\n")
    Path("list.parquet").write_text("PAR1")
    Path("bad.zip").write_text("text")
    Path("film.mp4").touch()
    Path("flat.txt").write_text("1.jpg\n2.jpg\n")
    with zipfile.ZipFile("evil.zip", "w") as archive:
        archive.writestr("../x.png", b"")
    gone = f"{tmp_path / 'gone.csv'}; {tmp_path / 'x.png'}: No such file or directory"
    for data, message in [
        ("nowhere/photos", "no such file or folder: nowhere/photos"),
        ("empty", f"no class folders in {tmp_path / 'empty'}: put"),
        ("flat", "or name a list (.csv) with the columns path and label"),
        ("bad.csv", "bad.csv has no column 'path'"),
        (tmp_path / "gone.csv", f"no readable image among the train images of {gone}"),
        ("list.parquet", "pip install pyarrow"),
        ("bad.zip", "bad.zip is damaged or no archive: File is not a zip file"),
        ("evil.zip", "evil.zip is refused: '../x.png' is a path outside it"),
        (
            "film.mp4",
            "film.mp4 is neither a folder, a list (.csv .tsv .jsonl .parquet .txt), an archive",
        ),
        ("flat.txt", "flat.txt is no list: as text, that is an image and its class in each line"),
    ]:
        code, line = refused("datasets", data)
        assert code == 1
        assert message in line


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").touch()
    assert main(["datasets", "digits", "--output", str(tmp_path / "file")]) == 1
    assert "eanet: error: cannot write" in capsys.readouterr().err


def test_ten_thousand_problems_do_not_flood_the_screen(tmp_path: Path, capsys: Capture) -> None:
    lines = ["path,label"]
    for i in range(4):
        Image.fromarray(np.full((4, 4), 50 * i, np.uint8)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'ab'[i % 2]}")
    lines += [f"gone{i}.png,a" for i in range(10_000)]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    assert main(["datasets", str(tmp_path / "list.csv")]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) < 30
    assert "and 9,991 more" in out
    assert err.count("\n") == 1
    assert err.endswith("and 9995 more\n")


def test_near_duplicates_are_drawn_in_pairs_as_long_as_there_are_any(
    tmp_path: Path, capsys: Capture
) -> None:
    random, root = np.random.default_rng(0), tmp_path / "own"
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for number in range(30):
            rough = Image.fromarray(random.integers(0, 200, (6, 6, 3), dtype=np.uint8))
            picture = rough.resize((48, 48), Image.Resampling.BICUBIC)
            picture.save(root / name / f"{number}.png")
    brighter = Image.open(root / "ant" / "0.png").point(lambda value: value * 1.2)
    brighter.save(root / "bee" / "twin.png")
    assert main(["datasets", str(root), "--output", str(tmp_path / "look")]) == 0
    out, _ = capsys.readouterr()
    assert "problems   1 near-duplicates" in out
    assert f"wrote {tmp_path / 'look/near_duplicates.png'}" in out
    with Image.open(tmp_path / "look/near_duplicates.png") as sheet:
        sheet.load()
        assert sheet.width > 200
    (root / "bee" / "twin.png").unlink()
    assert main(["datasets", str(root), "--output", str(tmp_path / "look")]) == 0
    assert not (tmp_path / "look/near_duplicates.png").exists(), "there are none any more"
