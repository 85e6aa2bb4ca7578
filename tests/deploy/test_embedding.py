"""Vectors of images, to compare them by."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import eanet
from eanet.cli import main
from eanet.deploy.embedding import Embeddings
from eanet.errors import EanetError

PICTURE = Image.new("RGB", (9, 9))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three images in folders, one of which is no image."""
    random, folder = np.random.default_rng(0), tmp_path / "pictures"
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "b/4.png").write_text("no image")
    return folder


def test_a_vector_is_what_the_head_takes(small_run: Path, pictures: Path) -> None:
    found = eanet.embed(small_run, pictures)
    assert [image.name for image in found.images] == ["1.png", "2.png", "3.png"]
    assert [image.name for image in found.unreadable] == ["4.png"]
    assert (found.vectors.shape, found.vectors.dtype) == ((3, 16), np.float32)
    predictor = eanet.load(small_run, runtime="torch")
    for image, vector in zip(found.images, found.vectors, strict=True):
        with torch.inference_mode():
            probabilities = predictor.model.head(torch.from_numpy(vector)).softmax(0)
        answer = predictor.predict(image)[0]
        assert answer.probabilities[0] == pytest.approx(float(probabilities.max()), abs=1e-5)


def test_open_files_and_pillow_images_are_embedded_too(small_run: Path, pictures: Path) -> None:
    predictor, file = eanet.load(small_run), pictures / "a/1.png"
    expected = eanet.embed(small_run, file).vectors
    for image in (file, str(file), io.BytesIO(file.read_bytes()), Image.open(file)):
        np.testing.assert_allclose(predictor.embed(image), expected, rtol=1e-5)
    assert predictor.embed([file, file]).shape == (2, 16)
    assert predictor.embed([]).shape == (0, 16)
    with pytest.raises(EanetError, match=r"4\.png"):
        predictor.embed(pictures / "b/4.png")


def test_the_command_writes_rows_and_their_images(
    small_run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.npy"
    code = main(["embed", str(small_run), str(pictures / "a"), "--output", str(file)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert out == f"2 images, 16 numbers each\nwrote {file}\nwrote {tmp_path / 'out.csv'}\n"
    assert np.load(file).shape == (2, 16)
    with (tmp_path / "out.csv").open() as text:
        images = [row["image"] for row in csv.DictReader(text)]
    assert images == [str(pictures / "a" / name) for name in ("1.png", "2.png")]
    code = main(["embed", str(small_run), str(pictures / "b"), "--output", str(file)])
    assert (code, np.load(file).shape) == (1, (1, 16))
    assert "4.png" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["image,label\n1.png,cat\n", "images\n", "image", ""])
def test_a_list_of_something_else_is_not_replaced(
    content: str, small_run: Path, pictures: Path, tmp_path: Path, refused: Callable
) -> None:
    mine, file = tmp_path / "out.csv", tmp_path / "out.npy"
    mine.write_text(content)
    found = refused("embed", small_run, pictures / "a", "--output", file)
    assert found == (
        1,
        f"{mine}, where the images are listed, exists and was not written by eanet embed: move it, "
        "or name another file with --output",
    )
    with pytest.raises(EanetError, match="was not written by eanet embed"):
        embeddings().write(file)
    assert mine.read_text() == content
    assert not file.exists()


def test_vectors_and_their_images_are_replaced_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.npy"
    embeddings(2).write(file)

    def full(*_: object) -> None:
        raise EanetError("cannot write out.csv: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("eanet.deploy.embedding.write_csv", full)
        with pytest.raises(EanetError, match="No space left"):
            embeddings(3).write(file)
    assert np.load(file).shape == (2, 4)
    embeddings(3).write(file)
    assert np.load(file).shape == (3, 4)


def embeddings(count: int = 1) -> Embeddings:
    paths = tuple(Path(f"{number}.png") for number in range(count))
    return Embeddings(paths, np.zeros((count, 4), np.float32))


def test_parquet_has_both_in_one_file(small_run: Path, pictures: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    found = eanet.embed(small_run, pictures / "a")
    assert found.write(tmp_path / "out.parquet") == (tmp_path / "out.parquet",)
    table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert table["image"] == list(map(str, found.images))
    np.testing.assert_array_equal(np.array(table["embedding"], np.float32), found.vectors)


def test_parquet_has_names_that_are_not_utf8_escaped(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    images = (Path(os.fsdecode(b"caf\xe9.png")), Path("caf\u00e9.png"))
    Embeddings(images, np.zeros((2, 4), np.float32)).write(tmp_path / "out.parquet")
    named = parquet.read_table(tmp_path / "out.parquet").to_pydict()["image"]
    assert named == ["caf\\xe9.png", "caf\u00e9.png"]


def test_wrong_calls_are_one_line(
    small_run: Path, pictures: Path, tmp_path: Path, refused: Callable, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image = pictures / "a/1.png"
    assert (
        "written as .npy or .parquet"
        in refused("embed", small_run, image, "--output", tmp_path / "out.txt")[1]
    )
    assert (
        "gives answers alone; name the run" in refused("embed", small_run / "model.onnx", image)[1]
    )
    monkeypatch.setattr(
        "eanet.deploy.embedding.import_module",
        lambda name: (_ for _ in ()).throw(ImportError(name)),
    )
    assert (
        "pip install pyarrow, or write .npy"
        in refused("embed", small_run, image, "--output", "out.parquet")[1]
    )
    assert not list(tmp_path.glob("embeddings*"))


@pytest.mark.parametrize("given", [PICTURE, [PICTURE], np.zeros((2, 9, 9, 3), np.uint8)])
def test_images_in_memory_are_for_a_predictor(given: Any, small_run: Path) -> None:
    with pytest.raises(EanetError, match=r"takes paths, not \w+; eanet\.load\(run\)\.embed takes"):
        eanet.embed(small_run, given)
    with pytest.raises(EanetError, match="name the images"):
        eanet.embed(small_run, [])


def test_without_a_readable_image_there_is_nothing_to_return(
    small_run: Path, pictures: Path
) -> None:
    with pytest.raises(EanetError, match="none of 1 images can be read"):
        eanet.embed(small_run, pictures / "b/4.png")
