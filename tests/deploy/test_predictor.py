from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eanet
from eanet.data.decode import decode_image
from eanet.data.imageset import ImageSet
from eanet.deploy.prediction import Outputs
from eanet.deploy.predictor import BATCH_SIZE, Predictor, load
from eanet.deploy.runtime import Pixels
from eanet.errors import EanetError, WrongArgumentError
from eanet.metrics.evaluation import evaluate_model
from eanet.model_files.preprocessing import Preprocessing
from eanet.models import create_model, save_model
from tests.support.settings import blocks


@pytest.fixture(scope="module")
def predictor(trained: eanet.TrainingResult) -> Predictor:
    return load(trained.path, device="cpu", runtime="torch")


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


@pytest.mark.parametrize("thing", [object(), b"\x89PNG", None, 3])
def test_what_is_no_image_is_refused_by_its_type(predictor: Predictor, thing: object) -> None:
    message = f"a path, an open file, a Pillow image or an array, not {type(thing).__name__}$"
    with pytest.raises(WrongArgumentError, match=message):
        predictor.predict(thing)  # type: ignore[arg-type]
    with pytest.raises(WrongArgumentError, match=message):
        predictor.predict([thing])  # type: ignore[list-item]


def test_an_array_that_may_be_one_image_or_several_is_refused(predictor: Predictor) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    with pytest.raises(WrongArgumentError, match=r"\(3, 8, 8\) is one image .* or list\(images\)$"):
        predictor.predict(grey)
    assert len(predictor.predict(list(grey))) == 3
    assert predictor.predict(grey[:1]) == predictor.predict(grey[0])  # the same, read either way
    channels_last = predictor.predict(grey.transpose(1, 2, 0))
    assert channels_last == predictor.predict(torch.from_numpy(grey))
    with pytest.raises(WrongArgumentError, match="several are a list of them"):
        predictor.predict(np.zeros((8, 8, 8)))


def test_an_array_or_a_column_of_paths_is_several_images(photos: Path) -> None:
    pandas = pytest.importorskip("pandas")
    model = create_model("eanet_nano", classes=["a", "b"], image_size=8, depth=1)
    predictor = Predictor(model, device="cpu")
    files = [str(file) for file in sorted(photos.glob("red/*.png"))[:3]]
    expected = predictor.predict(files)
    for several in (np.array(files), np.array(files, dtype=object), pandas.Series(files)):
        assert predictor.predict(several) == expected
        assert len(predictor.embed(several)) == 3


@pytest.mark.parametrize("levels", [None, (0.0, 4095.0)], ids=["8 bits", "12 bits"])
def test_a_dark_array_of_a_deep_type_is_what_its_file_is(
    levels: tuple[float, float] | None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    preprocessing = Preprocessing(levels=levels)
    predictor = Predictor(
        create_model(
            "eanet_nano", classes=["a", "b"], image_size=8, depth=1, preprocessing=preprocessing
        ),
        device="cpu",
    )
    dark, white = np.full((8, 8), 200), 65535 if levels is None else levels[1]
    Image.fromarray(dark.astype(np.uint16)).save(tmp_path / "dark.png")
    expected = predictor.decode(tmp_path / "dark.png")
    assert (expected == round(200 / white * 255)).all()
    for kind in (np.uint16, np.int16, np.uint32):
        assert (predictor.decode(dark.astype(kind)) == expected).all()
    # Of 8 bits, unless others or the model's training images were of more.
    assert (predictor.decode(dark) == (200 if levels is None else expected)).all()
    for first, second in ((dark, dark + 4000), (torch.from_numpy(dark), dark + 4000)):
        darker, _ = predictor.predict([first, second])
        (answer,) = predictor.classify([expected])
        assert darker.probabilities == pytest.approx(answer.probabilities, abs=1e-5)


def test_an_unreadable_image_is_an_error(predictor: Predictor, image: Path, tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"cannot read image \S+: a folder; give the files in it"):
        predictor.predict(tmp_path)
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


def test_it_answers_as_evaluation_does(predictor: Predictor, photos: Path) -> None:
    files = sorted(photos.glob("*/*.png"))
    pixels = np.stack([decode_image(file, 16) for file in files])
    labels = np.zeros(len(files), dtype=np.int64)
    evaluation = evaluate_model(predictor.model, ImageSet(pixels, labels, predictor.classes))
    for answer, row in zip(predictor.predict(files), evaluation.probabilities, strict=True):
        found = dict(zip(answer.classes, answer.probabilities, strict=True))
        assert [found[name] for name in predictor.classes] == pytest.approx(row, abs=1e-6)


def test_bf16_is_computed_in_and_near(
    trained: eanet.TrainingResult, predictor: Predictor, image: Path
) -> None:
    (exact,) = predictor.predict(image)
    (near,) = load(trained.path, "cpu", "bf16", "torch").predict(image)
    assert near.probabilities != exact.probabilities
    assert near.top1 == exact.top1
    assert near.probabilities[0] == pytest.approx(exact.probabilities[0], abs=0.03)


def test_each_batch_is_computed_by_one_of_as_many_threads_as_pytorch_has(
    predictor: Predictor, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, int]] = []
    real = predictor.runtime.on_one_core

    together = threading.Barrier(3, timeout=60)

    def witness(pixels: Pixels) -> Outputs:
        outputs = real(pixels)
        seen.append((threading.get_ident(), torch.get_num_threads(), len(pixels)))
        if len(seen) <= 3:
            together.wait()
        time.sleep(0.02)
        return outputs

    monkeypatch.setattr(predictor.runtime, "on_one_core", witness)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        predictor.predict([image] * 8)
        answers = predictor.predict_files(iter([image] * 20 * BATCH_SIZE))
        next(answers)
        answers.close()  # before the end
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)
    assert sorted(count for _, _, count in seen[:3]) == [2, 3, 3]
    assert {threads for _, threads, _ in seen} == {1}
    assert len({thread for thread, *_ in seen[:3]}) == 3
    assert {count for *_, count in seen[3:]} == {BATCH_SIZE}
    assert len(seen) < 3 + 20


def test_other_threads_keep_their_cores_while_images_are_classified(
    predictor: Predictor, photos: Path
) -> None:
    def cores() -> set[int]:
        with ThreadPoolExecutor(1) as new:
            return {torch.get_num_threads(), new.submit(torch.get_num_threads).result()}

    files = [photos / "red" / f"{number:02}.png" for number in range(4)]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        first = predictor.predict_files(files)
        next(first)
        assert cores() == {3}
        with ThreadPoolExecutor(1) as other:
            second = predictor.predict_files(files)
            other.submit(next, second).result()
            assert cores() == {3}
            torch.set_num_threads(2)  # by the host, while images are classified
            assert len(list(first)) == 3
            assert len(other.submit(list, second).result()) == 3
        assert cores() == {2}
    finally:
        torch.set_num_threads(before)


def test_a_model_that_answers_nan_is_refused(image: Path) -> None:
    model = create_model("eanet_nano:dim=16,depth=1", num_classes=3)
    torch.nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(EanetError, match="outputs are infinite or NaN"):
        Predictor(model, device="cpu").predict([image])


@pytest.mark.parametrize("name", ["keras_eanet", "eanet_nano"])
def test_predicting_needs_neither_compiler_nor_training(
    name: str, image: Path, tmp_path: Path
) -> None:
    save_model(create_model(name, num_classes=3, image_size=16, **blocks(name, 1)), tmp_path)
    program = (
        "import sys, eanet\n"
        "eanet.load(sys.argv[1], runtime='torch').predict(sys.argv[2])\n"
        "print(*{'torch._dynamo', 'lightning_fabric', 'matplotlib', 'sklearn'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(image)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "\n"


def test_nothing_in_nothing_out(predictor: Predictor) -> None:
    assert predictor.predict([]) == []
    assert list(predictor.predict_files([])) == []


def test_a_run_and_its_bare_file_answer_the_same(
    trained: eanet.TrainingResult, predictor: Predictor, image: Path
) -> None:
    bare = load(str(trained.path / "model.safetensors"), device="cpu", runtime="torch")
    assert bare.predict(image) == predictor.predict(image)


def test_the_model_is_asked_without_dropout(image: Path) -> None:
    model = create_model("vit", num_classes=3, image_size=16, depth=1, dropout=0.5)
    predictor = Predictor(model.train(), device="cpu")
    assert predictor.predict(image) == predictor.predict(image)


def test_a_model_of_other_channels_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_model(create_model("vit", image_size=8, in_channels=1, depth=1), tmp_path)
    with pytest.raises(EanetError, match="takes 1-channel images, not RGB"):
        load(tmp_path)


def test_a_broken_link_is_reported_when_it_is_read(predictor: Predictor, tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to("nowhere")
    ((_, answer),) = predictor.predict_files([link])
    assert "No such file" in str(answer)
