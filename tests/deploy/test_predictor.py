from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eanet
from eanet.deploy.predictor import BATCH_SIZE, Predictor, find_images, load
from eanet.errors import EanetError, WrongArgumentError
from eanet.models import create_model, save_model


@pytest.fixture(scope="module")
def predictor(trained: eanet.TrainingResult) -> Predictor:
    return load(trained.path, device="cpu")


@pytest.fixture(scope="module")
def image(photos: Path) -> Path:
    return photos / "red" / "00.png"


def test_probabilities_of_all_classes_fall_and_sum_to_one(
    predictor: Predictor, image: Path
) -> None:
    (answer,) = predictor.predict(image)
    assert set(answer.classes) == {"red", "green", "blue"} == set(predictor.classes)
    assert list(answer.probabilities) == sorted(answer.probabilities, reverse=True)
    assert sum(answer.probabilities) == pytest.approx(1, abs=1e-6)
    assert answer.top1 == answer.classes[0]


def test_what_the_model_learned_is_named(predictor: Predictor, photos: Path) -> None:
    files = sorted(photos.glob("*/*.png"))
    named = [answer.top1 for answer in predictor.predict(files)]
    assert np.mean([a == b.parent.name for a, b in zip(named, files, strict=True)]) > 0.9


@pytest.mark.parametrize(
    "source",
    [str, Path, Image.open, lambda path: path.open("rb"), lambda p: io.BytesIO(p.read_bytes())],
    ids=["text", "path", "Pillow", "file", "bytes in memory"],
)
def test_an_image_is_the_same_from_wherever_it_comes(
    predictor: Predictor, image: Path, source: Callable[[Path], object]
) -> None:
    expected = predictor.predict(image)
    assert predictor.predict(source(image)) == expected  # type: ignore[arg-type]
    assert predictor.predict([source(image)]) == expected  # type: ignore[list-item]


@pytest.mark.parametrize("thing", [np.zeros((16, 16, 3), np.uint8), b"\x89PNG", None, 3])
def test_what_is_no_image_is_refused_by_its_type(predictor: Predictor, thing: object) -> None:
    message = f"a path, an open file or a Pillow image, not {type(thing).__name__}$"
    with pytest.raises(WrongArgumentError, match=message):
        predictor.predict(thing)  # type: ignore[arg-type]
    with pytest.raises(WrongArgumentError, match=message):
        predictor.predict([thing])  # type: ignore[list-item]


def test_an_unreadable_image_is_an_error(predictor: Predictor, image: Path, tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"cannot read image \S+none.png: No such file"):
        predictor.predict([image, tmp_path / "none.png"])


def test_no_more_classes_are_named_than_there_are_and_no_fewer_than_one(
    predictor: Predictor, image: Path
) -> None:
    assert [len(predictor.predict(image, top=k)[0].classes) for k in (1, 2, 99)] == [1, 2, 3]
    with pytest.raises(WrongArgumentError, match="top=0: should be 1 or more"):
        predictor.predict(image, top=0)


def test_files_keep_their_order_over_batches_with_unreadable_ones_between(
    predictor: Predictor, photos: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.jpg"
    damaged.write_text("no image")
    good = [photos / name / "00.png" for name in ("red", "green", "blue")]
    paths = [damaged, *([*good, damaged] * BATCH_SIZE)]
    expected = {path: predictor.predict(path)[0].top1 for path in good}
    answers = list(predictor.predict_files(paths))
    assert [path for path, _ in answers] == paths
    for path, answer in answers:
        if path == damaged:
            assert isinstance(answer, EanetError)
        else:
            assert not isinstance(answer, EanetError)
            assert answer.top1 == expected[path]


def test_nothing_in_nothing_out(predictor: Predictor) -> None:
    assert predictor.predict([]) == []
    assert list(predictor.predict_files([])) == []


def test_a_run_and_its_bare_file_answer_the_same(
    trained: eanet.TrainingResult, predictor: Predictor, image: Path
) -> None:
    bare = load(str(trained.path / "model.safetensors"), device="cpu")
    assert bare.predict(image) == predictor.predict(image)


def test_the_model_is_asked_without_dropout(image: Path) -> None:
    model = create_model("vit", num_classes=3, image_size=16, depth=1, dropout=0.5)
    predictor = Predictor(model.train(), device="cpu")
    assert predictor.predict(image) == predictor.predict(image)


def test_a_model_of_other_channels_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_model(create_model("vit", image_size=8, in_channels=1, depth=1), tmp_path)
    with pytest.raises(EanetError, match="takes 1 channels, not colour images"):
        load(tmp_path)


def test_files_folders_patterns_and_lists_are_found_in_the_order_given(
    photos: Path, tmp_path: Path
) -> None:
    inside = [photos / "blue" / f"{number:02}.png" for number in range(12)]
    listing = [f"{photos}/green/03.png\n", "\n", "gone.png"]
    arguments = [str(photos / "red" / "01.png"), str(photos / "blue"), "-", f"{photos}/r*/0[23]*"]
    assert find_images(arguments, listing) == [
        photos / "red" / "01.png",
        *inside,
        photos / "green" / "03.png",
        Path("gone.png"),
        photos / "red" / "02.png",
        photos / "red" / "03.png",
    ]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    file = tmp_path / "a[1].png"
    file.touch()
    assert find_images([str(file)]) == [file]


def test_a_broken_link_is_found_and_reported_when_read(
    predictor: Predictor, tmp_path: Path
) -> None:
    link = tmp_path / "link.png"
    link.symlink_to("nowhere")
    assert find_images([str(link)]) == [link]
    ((_, answer),) = predictor.predict_files([link])
    assert "No such file" in str(answer)


def test_paths_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"^no such image or folder: gone\.png$"):
        find_images(["gone.png"])
    with pytest.raises(EanetError, match=r"^no image in "):
        find_images([str(tmp_path)])
