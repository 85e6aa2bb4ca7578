from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.metrics.evaluation import Evaluation, evaluate_model, in_classes_of
from eanet.metrics.intervals import wilson_interval
from eanet.models import create_model
from eanet.models.classifier import Classifier

LOGITS = np.array([[2, 1, 0], [0, 1, 3], [0, 2, 1], [4, 0, 0]], dtype=np.float32)
LABELS = np.array([0, 1, 1, 2])


def evaluation(smoothing: float = 0.0) -> Evaluation:
    return Evaluation(LOGITS, LABELS, ("ant", "bee", "cat"), smoothing)


def image_set(count: int, size: int = 4, classes: tuple[str, ...] = ("a", "b", "c")) -> ImageSet:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return ImageSet(images, np.arange(count) % len(classes), classes)


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    return create_model("vit", classes=["a", "b", "c"], image_size=4, depth=1, dim=8, dropout=0.5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_with_the_smoothing_of_the_training(smoothing: float) -> None:
    logs = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(3)[LABELS] + smoothing / 3
    assert evaluation(smoothing).loss == pytest.approx(-(wanted * logs).sum(axis=1).mean())


def test_accuracies_are_fractions_and_five_best_of_three_are_all() -> None:
    assert evaluation().top(1) == 2 / 4
    assert evaluation().top(2) == 3 / 4


def test_of_equal_logits_the_first_is_the_answer_in_every_figure() -> None:
    found = Evaluation(np.zeros((6, 10), np.float32), np.arange(6), tuple("abcdefghij"), 0.0)
    assert np.array_equal(found.in_top(1), found.predicted == found.labels)
    assert found.in_top(5).tolist() == [True] * 5 + [False]


def test_of_the_right_answers_those_that_are_rejected_are_counted() -> None:
    distance = np.array([1.01, 1.0, 0.5, 0.5], dtype=np.float32)  # the first and third are right
    found = Evaluation(LOGITS, LABELS, ("ant", "bee", "cat"), 0.0, distance).metrics()
    assert (found["false_rejections"], found["right_rejected"]) == (1 / 4, 1 / 2)
    assert (found["right_rejected_low"], found["right_rejected_high"]) == wilson_interval(1, 2)
    assert found["accepted_top1"] == 1 / 3


def test_metrics_agree_with_those_counted_by_hand() -> None:
    found = evaluation(0.1).metrics()
    assert (found["images"], found["classes"], found["label_smoothing"]) == (4, 3, 0.1)
    assert (found["top1"], found["top5"]) == (0.5, 1.0)
    assert (found["top1_low"], found["top1_high"]) == wilson_interval(2, 4)
    assert (found["top5_low"], found["top5_high"]) == wilson_interval(4, 4)
    assert found["macro_precision"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["macro_recall"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found["majority_baseline"] == 2 / 4
    assert evaluation().largest_classes == (("bee",), 2 / 4)
    assert found["loss"] == evaluation(0.1).loss
    assert found["nll"] == evaluation(0.0).loss != found["loss"]
    # 0.665 twice, both right, in one bin; 0.844 and 0.965, both wrong, alone in theirs.
    sure = np.sort(evaluation().probabilities.max(axis=1))
    gaps = [abs(sure[:2].sum() - 2), abs(sure[2] - 0), abs(sure[3] - 0)]
    assert found["ece"] == pytest.approx(sum(gaps) / 4)


def test_the_true_class_is_the_row_of_the_confusion() -> None:
    assert evaluation().confusion().tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]


def test_probabilities_are_the_softmax() -> None:
    probabilities = evaluation().probabilities
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[1, 2] / probabilities[1, 1], np.exp(2), rtol=1e-5)


def test_every_image_is_asked_once_in_order_without_dropout(model: Classifier) -> None:
    images = image_set(300)  # more than a batch
    found = evaluate_model(model.train(), images)
    pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2)
    with torch.inference_mode():
        np.testing.assert_allclose(found.logits, model(pixels).numpy(), atol=1e-5)
    np.testing.assert_array_equal(found.labels, images.labels)
    assert found.classes == images.classes


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (image_set(0), "no images to evaluate on"),
        (image_set(3, size=6), "side of 6 pixels, the model takes 4"),
        (image_set(3, classes=("a", "b", "x")), "'c'"),
    ],
)
def test_images_that_do_not_fit_the_model_are_refused(
    model: Classifier, images: ImageSet, message: str
) -> None:
    with pytest.raises(EanetError, match=message):
        evaluate_model(model, images)


def test_a_model_of_gray_images_is_refused() -> None:
    model = create_model("vit", classes=["a", "b", "c"], image_size=4, in_channels=1, depth=1)
    with pytest.raises(EanetError, match="in_channels=1, not for the colour images"):
        evaluate_model(model, image_set(3))


def test_answers_that_are_no_numbers_are_one_line(model: Classifier) -> None:
    torch.nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(EanetError, match="outputs are infinite or NaN"):
        evaluate_model(model, image_set(3))


def test_classes_that_were_never_named_take_the_names_of_the_data() -> None:
    unnamed = ("class 0", "class 1")
    for known in (("a", "b"), unnamed):
        images = image_set(2, classes=("a", "b"))
        assert in_classes_of(known, images) is images


def test_classes_are_found_by_name_wherever_they_stand() -> None:
    for classes, labels in ((("b", "a"), [1, 0]), (("b",), [1, 1]), (("a", "c"), [0, 2])):
        images = in_classes_of(("a", "b", "c"), image_set(2, classes=classes))
        assert images.classes == ("a", "b", "c")
        assert images.labels.tolist() == labels
    images = in_classes_of(("a", "b"), image_set(1, classes=("a", "x")))  # no image is an x
    assert images.labels.tolist() == [0]


@pytest.mark.parametrize(
    ("known", "found", "message"),
    [
        (("a", "b"), ("a", "c"), "not know the class 'c' of the data; it knows 'a', 'b'$"),
        (("a", "b"), ("x", "y"), "not know the classes 'x', 'y' of the data"),
        (("class 0", "class 1"), ("a", "b", "c"), "not know the classes 'a', 'b', 'c' of"),
    ],
)
def test_other_classes_are_refused(
    known: tuple[str, ...], found: tuple[str, ...], message: str
) -> None:
    with pytest.raises(EanetError, match=message):
        in_classes_of(known, image_set(len(found), classes=found))


def test_every_interval_counts_groups_of_images() -> None:
    random = np.random.default_rng(0)
    groups, labels = np.repeat(np.arange(20), 5), np.repeat(np.arange(2), 50)
    logits = np.eye(2, dtype=np.float32)[np.where(groups % 3 > 0, labels, 1 - labels)]
    distance = (groups % 4 > 0).astype(np.float32) * 2
    alone = Evaluation(logits, labels, ("ant", "bee"), 0.0, distance)
    within = replace(alone, groups=random.permutation(20)[groups])
    assert (within.metrics().pop("groups"), "groups" in alone.metrics()) == (20, False)
    pairs = [(alone.metrics(), within.metrics())] + [
        (asdict(one), asdict(other))
        for one, other in zip(alone.by_class, within.by_class, strict=True)
    ]
    uncertain = [
        (name.removesuffix("_low"), one, other)
        for one, other in pairs
        for name in one
        if name.endswith("_low") and one[name.removesuffix("_low")] < 1
    ]
    assert len(uncertain) == 6, "top1, the recalls, and three of what is rejected"
    for name, one, other in uncertain:
        assert other[f"{name}_low"] < one[f"{name}_low"], name
        assert other[f"{name}_high"] > one[f"{name}_high"], name
