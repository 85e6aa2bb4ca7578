"""The training images that are most like an image to a model."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

import eanet
from eanet.data.decode import decode_image
from eanet.deploy.module import RuntimeModule
from eanet.errors import EanetError
from eanet.explanation.files import explain_files
from eanet.explanation.neighbours import TrainingImages
from tests.support.pictures import pixels as drawn


def test_an_image_is_nearest_to_itself_and_then_to_those_of_its_colour(
    trained: eanet.TrainingResult, photos: Path
) -> None:
    model = eanet.load_model(trained.path)
    images = TrainingImages(trained.path, model)
    config = model.config
    found = 0
    for file in sorted((photos / "red").glob("*.png")):
        pixels = decode_image(file, config.image_size, config.preprocessing)
        nearest = images.nearest(pixels, 4)
        assert len(nearest) == 4
        assert [n.similarity for n in nearest] == sorted(n.similarity for n in nearest)[::-1]
        if np.array_equal(nearest[0].pixels, pixels):  # a training image
            found += 1
            assert nearest[0].similarity == pytest.approx(1, abs=1e-5)
            assert [n.class_name for n in nearest].count("red") >= 3
    assert found == 9


@pytest.mark.parametrize("new_class", [None, "grey"])
def test_images_that_came_later_are_no_neighbours(
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    new_class: str | None,
) -> None:
    run = Path(shutil.copytree(trained.path, tmp_path / "run"))
    grown = Path(shutil.copytree(photos, tmp_path / "grown"))
    config = (run / "config.yaml").read_text().replace(str(photos), str(grown))
    (run / "config.yaml").write_text(config)
    model = eanet.load_model(run)
    learned = len(TrainingImages(run, model)._images)
    random = np.random.default_rng(0)
    for place in filter(None, ("red", new_class)):
        (grown / place).mkdir(exist_ok=True)
        for number in range(20):
            noise = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(noise).save(grown / place / f"new{number}.png")
    images = TrainingImages(run, model)
    assert len(images._images) == learned
    told = capsys.readouterr().err
    assert f"have changed: all {learned} training images are left" in told
    for file in grown.rglob("new*.png"):
        pixels = decode_image(file, model.config.image_size, model.config.preprocessing)
        assert not np.array_equal(images.nearest(pixels, 1)[0].pixels, pixels)
    shutil.rmtree(grown / "red")
    shutil.rmtree(grown / "green")
    (run / "images.npy").unlink()
    with pytest.raises(EanetError):
        TrainingImages(run, model)


def test_they_are_drawn_below_the_explanation(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path
) -> None:
    image = str(photos / "red/00.png")
    plain, more = (
        drawn(explain_files(trained.path, [image], output=tmp_path, neighbours=n).pictures[0])
        for n in (0, 7)
    )
    assert more.shape[0] > 1.4 * plain.shape[0], "two rows"
    assert abs(more.shape[1] - plain.shape[1]) < 20


def test_wrong_calls_are_one_line(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path
) -> None:
    image = photos / "red/00.png"
    with pytest.raises(EanetError, match="neighbours=13: should be 0 to 12"):
        eanet.explain(trained.path, image, neighbours=13, output=tmp_path)
    with pytest.raises(EanetError, match="is not a run directory"):
        eanet.explain("eanet_tiny_cifar100", image, neighbours=3, output=tmp_path)


def test_of_another_library_the_remedy_is_the_one_that_helps(tmp_path: Path) -> None:
    """Leave it out, or if the file needs it, name the run."""
    other = Mock(spec=RuntimeModule)
    with pytest.raises(EanetError, match=r"found by PyTorch: leave out --runtime$"):
        TrainingImages(tmp_path, other)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(EanetError, match=r"model\.onnx is an exported file: .* name the run"):
        TrainingImages(tmp_path / "model.onnx", other)
