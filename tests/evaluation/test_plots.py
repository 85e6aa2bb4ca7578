from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from eanet.errors import EanetError
from eanet.evaluation.confusion import cell_colours, row_shares
from eanet.evaluation.curves import spread
from eanet.evaluation.drawing import picture, shorten, text_width
from eanet.evaluation.plots import (
    choose_samples,
    most_confused,
    plot_confusion,
    plot_curves,
    plot_samples,
)

BLUE, ORANGE = (11, 102, 176), (194, 80, 10)
MATRIX = np.array([[8, 2, 0], [1, 9, 0], [3, 3, 4]])
CLASSES = ["ant", "bee", "cat"]


def history(epochs: int, validation: bool = True) -> list[dict[str, float]]:
    names = ["train", "val"] if validation else ["train"]
    return [
        {"epoch": epoch, "learning_rate": 0.1, "seconds": 1.0}
        | {f"{name}_loss": 3 / epoch for name in names}
        | {f"{name}_accuracy": 1 - 0.7 / epoch for name in names}
        | {f"{name}_top5": 1 - 0.3 / epoch for name in names}
        for epoch in range(1, epochs + 1)
    ]


def pixels(path: Path) -> np.ndarray:
    """The pixels of a picture that must be a whole PNG, of a size for people, and not blank."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        array = np.asarray(image.convert("RGB")).astype(int)
    assert min(array.shape[:2]) > 150
    assert max(array.shape[:2]) < 4000
    assert array.std() > 3
    assert (array[0] == 255).all(), "something touches the edge"
    return array


def amount(array: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(array - colour).max(axis=2) < 8).sum())


def probabilities(predicted: list[int], classes: int) -> np.ndarray:
    return (0.9 * np.eye(classes)[predicted] + 0.1 / classes).astype(np.float32)


# --- curves


@pytest.mark.parametrize("epochs", [1, 3, 300])
def test_curves_of_any_length_are_drawn(tmp_path: Path, epochs: int) -> None:
    path = plot_curves(history(epochs), tmp_path / "curves.png", title="a run", best_epoch=epochs)
    assert path == tmp_path / "curves.png"
    array = pixels(path)
    assert array.shape[1] > 1.5 * array.shape[0]
    assert amount(array, BLUE) > 300
    assert amount(array, ORANGE) > 100


def test_without_validation_only_the_training_curves_are_drawn(tmp_path: Path) -> None:
    array = pixels(plot_curves(history(5, validation=False), tmp_path / "c.png", best_epoch=5))
    assert amount(array, BLUE) == 0
    assert amount(array, ORANGE) > 300


@pytest.mark.filterwarnings("error")
def test_a_run_that_diverges_is_drawn_up_to_there(tmp_path: Path) -> None:
    rows = history(4)
    rows[-1] |= {"train_loss": math.nan, "val_loss": math.inf, "val_accuracy": math.nan}
    assert amount(pixels(plot_curves(rows, tmp_path / "c.png", best_epoch=3)), BLUE) > 300


def test_a_run_without_any_finite_value_is_drawn_empty(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "train_loss": math.nan}]
    pixels(plot_curves(rows, tmp_path / "c.png", best_epoch=1))


def test_the_best_epoch_is_marked(tmp_path: Path) -> None:
    marked = pixels(plot_curves(history(9), tmp_path / "a.png", best_epoch=4))
    plain = pixels(plot_curves(history(9), tmp_path / "b.png"))
    assert amount(marked, BLUE) > amount(plain, BLUE)


def test_an_empty_history_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match="no finished epoch"):
        plot_curves([], tmp_path / "curves.png")


def test_a_best_epoch_outside_the_history_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match="best epoch 7 is not in the history, which has 1 to 3"):
        plot_curves(history(3), tmp_path / "curves.png", best_epoch=7)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6), st.floats(0.1, 10))
def test_labels_are_spread_apart_in_their_order_about_their_mean(
    positions: list[float], gap: float
) -> None:
    moved = spread(positions, gap)
    order = np.argsort(positions, kind="stable")
    assert (np.diff(np.array(moved)[order]) >= gap - 1e-6).all()
    assert np.mean(moved) == pytest.approx(np.mean(positions), abs=1e-6)


def test_labels_that_stand_apart_stay_where_they_are() -> None:
    assert spread([3.0, 1.0, 2.0], gap=0.5) == pytest.approx([3.0, 1.0, 2.0])
    assert spread([5.0, 5.0], gap=1.0) == pytest.approx([4.5, 5.5])
    assert spread([], gap=1.0) == []


# --- confusion


def test_rows_are_divided_by_the_images_of_the_true_class() -> None:
    shares = row_shares(np.array([[8, 2], [0, 0]]))
    np.testing.assert_allclose(shares[0], [0.8, 0.2])
    assert np.isnan(shares[1]).all()


def test_the_most_confused_are_named_true_class_first_and_most_frequent_first() -> None:
    assert most_confused(MATRIX, CLASSES, 3) == [
        ("cat", "ant", 3),
        ("cat", "bee", 3),
        ("ant", "bee", 2),
    ]
    assert len(most_confused(MATRIX, CLASSES, 99)) == 4, "a cell without images is no mistake"
    assert MATRIX[0, 0] == 8, "the matrix is left alone"


def test_right_is_blue_wrong_is_orange_and_a_class_without_images_gray() -> None:
    colours = cell_colours(np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [np.nan] * 3])) * 255
    np.testing.assert_allclose(colours[0, 0], BLUE)
    np.testing.assert_allclose(colours[1, 0], ORANGE)
    np.testing.assert_allclose(colours[0, 1], 255)
    assert np.ptp(colours[2]) == 0
    assert colours[2, 0, 0] < 255


def test_the_true_class_is_the_row_in_the_picture(tmp_path: Path) -> None:
    # Every image of the second class is taken for the first: orange below left, not above right.
    array = pixels(plot_confusion(np.array([[9, 0], [9, 0]]), ["a", "b"], tmp_path / "c.png"))
    orange = np.argwhere(np.abs(array - ORANGE).max(axis=2) < 8).mean(axis=0)
    blue = np.argwhere(np.abs(array - BLUE).max(axis=2) < 8).mean(axis=0)
    assert orange[0] > blue[0] + 100
    assert abs(orange[1] - blue[1]) < 20


@pytest.mark.parametrize("size", [1, 2, 10, 26, 100, 130])
def test_a_matrix_of_any_size_is_drawn(tmp_path: Path, size: int) -> None:
    matrix = np.random.default_rng(0).integers(0, 9, (size, size)) + 50 * np.eye(size, dtype=int)
    matrix[0] = 0
    path = plot_confusion(matrix, [f"class {i}" for i in range(size)], tmp_path / "confusion.png")
    pixels(path)
    assert path.stat().st_size < 1_500_000


def test_a_large_matrix_without_mistakes_is_drawn(tmp_path: Path) -> None:
    pixels(plot_confusion(np.eye(30, dtype=int), [str(i) for i in range(30)], tmp_path / "c.png"))


def test_awkward_class_names_do_not_break_the_picture(tmp_path: Path) -> None:
    names = ["$\\frac$ 5_", "a" * 300, "Übergröße"]
    pixels(plot_confusion(MATRIX, names, tmp_path / "c.png", title="$x"))


@pytest.mark.parametrize("classes", [[], ["ant", "bee"]])
def test_a_matrix_that_does_not_fit_the_classes_is_an_error(
    tmp_path: Path, classes: list[str]
) -> None:
    with pytest.raises(EanetError, match="does not fit"):
        plot_confusion(MATRIX, classes, tmp_path / "c.png")


# --- samples


def test_samples_are_drawn_without_regard_to_correctness() -> None:
    labels = np.arange(1000) % 7
    wrong = labels + 1
    half = np.where(np.arange(1000) % 2, labels, wrong)
    drawn = [set(choose_samples(labels, predicted).tolist()) for predicted in (labels, wrong, half)]
    assert drawn[0] == drawn[1] == drawn[2]
    assert len(drawn[0]) == 24


def test_samples_show_the_right_ones_first() -> None:
    labels = np.zeros(100, dtype=np.int64)
    predicted = np.arange(100) % 2
    chosen = choose_samples(labels, predicted, count=30)
    assert (np.diff(predicted[chosen]) >= 0).all()
    assert set(predicted[chosen]) == {0, 1}


def test_samples_depend_on_the_seed_alone() -> None:
    labels = np.zeros(500, dtype=np.int64)
    np.testing.assert_array_equal(choose_samples(labels, labels), choose_samples(labels, labels))
    assert set(choose_samples(labels, labels, seed=1)) != set(choose_samples(labels, labels))


def test_fewer_images_than_asked_for_are_all_chosen() -> None:
    labels = np.zeros(5, dtype=np.int64)
    assert sorted(choose_samples(labels, labels)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (7, 32, 32, 3), (7, 64, 48, 3)])
def test_a_sheet_of_any_image_size_is_drawn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.zeros(len(images), dtype=np.int64)
    shown = probabilities([0] * len(images), 2)
    pixels(plot_samples(images, labels, shown, ["a", "b" * 99], tmp_path / "s.png", title="test"))


def test_only_a_wrong_answer_is_framed_in_orange(tmp_path: Path) -> None:
    images = np.full((1, 8, 8, 3), 128, np.uint8)
    counts = {}
    for predicted in (0, 1):
        shown = probabilities([predicted], 2)
        path = plot_samples(images, np.array([0]), shown, ["a", "b"], tmp_path / f"{predicted}.png")
        counts[predicted] = amount(pixels(path), ORANGE)
    assert counts[0] == 0
    assert counts[1] > 1000


def test_pixels_of_small_images_stay_sharp(tmp_path: Path) -> None:
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 200).astype(np.uint8)
    images = np.repeat(board[None, ..., None], 3, axis=3)
    path = plot_samples(
        images, np.array([0]), probabilities([0], 2), ["a", "b"], tmp_path / "s.png"
    )
    row = pixels(path)[45:145].reshape(-1, 3)
    blurred = ((row > 10) & (row < 190)).all(axis=1).mean()
    assert blurred < 0.02


@pytest.mark.parametrize(
    ("labels", "predicted", "classes"),
    [([0], [0, 1], "ab"), ([0, 1], [0, 1], "abc"), ([0, 2], [0, 1], "ab")],
)
def test_samples_that_do_not_fit_each_other_are_an_error(
    tmp_path: Path, labels: list[int], predicted: list[int], classes: str
) -> None:
    images = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(EanetError, match="do not fit"):
        plot_samples(
            images, np.array(labels), probabilities(predicted, 2), list(classes), tmp_path / "s.png"
        )


def test_no_image_and_unequal_predictions_are_errors(tmp_path: Path) -> None:
    nothing = np.zeros((0, 8, 8, 3), np.uint8)
    with pytest.raises(EanetError, match="no image"):
        plot_samples(nothing, np.zeros(0, int), np.zeros((0, 1)), ["a"], tmp_path / "s.png")
    with pytest.raises(EanetError, match="do not fit"):
        choose_samples(np.zeros(3, int), np.zeros(2, int))


# --- the style and the file


def draw(path: Path) -> Path:
    return plot_confusion(MATRIX, CLASSES, path)


def settings() -> dict[str, object]:
    """The caller's settings but for the backend, which is chosen by the mere reading of it."""
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_pyplot_is_never_used(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from eanet.evaluation.plots import plot_curves\n"
        "assert 'matplotlib' not in sys.modules, 'importing must be cheap'\n"
        "plot_curves([{'epoch': 1, 'train_loss': 1.0}], Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "c.png"], check=True)


def test_the_settings_of_the_caller_neither_matter_nor_change(tmp_path: Path) -> None:
    plain = draw(tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"text.color": "red", "font.size": 30, "savefig.dpi": 10}):
        before = settings()
        assert draw(tmp_path / "b.png").read_bytes() == plain
        assert settings() == before


def test_pictures_drawn_in_threads_are_the_same(tmp_path: Path) -> None:
    before = settings()
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(draw, [tmp_path / f"{i}.png" for i in range(4)]))
    assert len({file.read_bytes() for file in files}) == 1
    assert settings() == before


def test_drawing_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        plot_curves(history(2), tmp_path / "c.png", title="a run", best_epoch=2)
    assert not caplog.records


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(_: Figure, target: Path, **__: str) -> None:
        target.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    path = tmp_path / "confusion.png"
    path.write_bytes(b"the old picture")
    monkeypatch.setattr(Figure, "savefig", fill_the_disk)
    with pytest.raises(EanetError, match=r"cannot write .*confusion\.png: No space left"):
        draw(path)
    assert path.read_bytes() == b"the old picture"
    assert [file.name for file in tmp_path.iterdir()] == ["confusion.png"]


def test_only_the_picture_is_left_behind(tmp_path: Path) -> None:
    draw(tmp_path / "c.png")
    assert [file.name for file in tmp_path.iterdir()] == ["c.png"]


@pytest.fixture
def in_a_picture(tmp_path: Path) -> Callable[[str, float], str]:
    def cut(text: str, inches: float) -> str:
        with picture(tmp_path / "p.png", 1, 1, dpi=50):
            short = shorten(text, 10, inches)
            assert short == text or text_width(short, 10) <= inches or len(short) == 2
            return short

    return cut


@pytest.mark.parametrize("inches", [0.01, 0.5, 1.0])
def test_long_names_end_in_an_ellipsis(
    in_a_picture: Callable[[str, float], str], inches: float
) -> None:
    short = in_a_picture("W" * 100, inches)
    assert short.startswith("W")
    assert short.endswith("…")


def test_short_names_stay_whole(in_a_picture: Callable[[str, float], str]) -> None:
    assert in_a_picture("ant", 2.0) == "ant"
