from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eanet.errors import EanetError
from eanet.plots.samples import choose_samples, most_wrong, plot_samples
from tests.support.pictures import ORANGE, amount, drawn_texts, pixels, probabilities


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


def test_the_most_wrong_are_mistakes_alone_the_highest_loss_first() -> None:
    shown = np.array([[0.4, 0.6], [0.1, 0.9], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]], np.float32)
    labels = np.array([0, 0, 0, 1, 0])
    assert most_wrong(labels, shown).tolist() == [1, 4, 0]
    assert most_wrong(labels, shown, count=2).tolist() == [1, 4]
    assert most_wrong(labels[2:4], shown[2:4]).tolist() == []


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (7, 32, 32, 3), (7, 64, 48, 3)])
def test_a_sheet_of_any_image_size_is_drawn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.zeros(len(images), dtype=np.int64)
    shown = probabilities([0] * len(images), 2)
    pixels(plot_samples(images, labels, shown, ["a", "b" * 99], tmp_path / "s.png", title="test"))


def test_names_of_classes_take_the_room_that_there_is(tmp_path: Path) -> None:
    images, classes = np.zeros((2, 8, 8, 3), np.uint8), ["bumblebee", "carpenter ant"]
    with drawn_texts() as found:
        plot_samples(
            images, np.array([0, 1]), probabilities([0, 0], 2), classes, tmp_path / "s.png"
        )
    assert {"✓ bumblebee", "✗ bumblebee", "true: carpenter ant"} <= found.keys()


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
