from __future__ import annotations

import numpy as np
import pytest
import torch

from eanet.data.imageset import ImageSet
from eanet.errors import EanetError
from eanet.metrics import unknown
from eanet.metrics.evaluation import evaluate_model
from eanet.metrics.unknown import NoDetectorError, fit_detector, why_none
from eanet.models import Classifier, create_model

CLASSES = ("dark", "light")


def pictures(count: int, seed: int, low: int = 0, high: int = 256) -> ImageSet:
    """Noise, half of it dark and half light."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = random.integers(low, high, (count, 8, 8, 3)) // 2 + 127 * labels[:, None, None, None]
    return ImageSet(pixels.astype(np.uint8), labels, CLASSES)


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    return create_model("vit", classes=CLASSES, image_size=8, depth=1, mlp_dim=16).eval()


def distances(model: Classifier, images: ImageSet) -> np.ndarray:
    found = evaluate_model(model, images).distance
    assert found is not None
    return found


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_no_more_than_the_wanted_share_of_validation_images_is_rejected(
    model: Classifier, share: float
) -> None:
    validation = pictures(59, 1)
    fit_detector(model, pictures(200, 0), validation, false_rejections=share)
    allowed = int(share * 60)  # with a further image, which may be the farthest
    above = np.sort(distances(model, validation))[::-1]
    assert (above > 1).sum() == allowed - 1
    assert above[allowed - 1] == pytest.approx(1, abs=2e-4)
    assert (distances(model, pictures(1000, 2)) > 1).mean() < 2 * share
    assert model.detector is not None
    assert model.detector.fit == unknown.DetectorFit(share, 200, 59)


def test_the_threshold_image_is_accepted_also_where_images_are_nearly_alike(
    model: Classifier,
) -> None:
    validation = pictures(46, 46, 100, 110)  # classes are a hundred times as far apart as images
    fit_detector(model, pictures(200, 0, 100, 110), validation)
    above = np.sort(distances(model, validation))[::-1]
    assert above[1] == pytest.approx(1, abs=2e-4)
    assert above[1] <= 1 < above[0]


def test_what_is_unlike_the_known_images_is_rejected(model: Classifier) -> None:
    fit_detector(model, pictures(200, 0), pictures(60, 1))
    flat = ImageSet(np.full((9, 8, 8, 3), 128, np.uint8), np.zeros(9, np.int64), CLASSES)
    assert (distances(model, flat) > 1.5).all()


def test_fewer_images_than_features_are_enough(model: Classifier) -> None:
    fit_detector(model, pictures(10, 0), pictures(30, 1))
    assert np.isfinite(distances(model, pictures(30, 2))).all()


def test_a_bounded_number_of_each_class_is_used(
    model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown, "MOST_IMAGES", 40)
    fit_detector(model, pictures(200, 0), pictures(30, 1))
    assert model.detector is not None
    assert model.detector.fit.train_images == 40


def test_too_few_images_are_one_line(model: Classifier) -> None:
    train = pictures(40, 0)
    with pytest.raises(EanetError, match=r"no more than 5.0% of .* takes 19 validation .* are 18"):
        fit_detector(model, train, pictures(18, 1))
    assert why_none(train, pictures(19, 1), 0.05) is None
    assert str(why_none(train, pictures(6, 1), 0.05)).endswith("RUN --false-rejections 0.15`")
    assert why_none(train, pictures(6, 1), 0.15) is None
    assert str(why_none(train, pictures(2, 1), 0.05)).endswith("there are 2")
    assert why_none(train, pictures(19, 1), 0.01) is not None
    assert "there are 0" in str(why_none(train, None, 0.05))
    one = train.subset(np.flatnonzero(train.labels == 0))
    assert "no training images of light" in str(why_none(one, pictures(19, 1), 0.05))
    alone = train.subset(range(2))
    assert "one training image of each class" in str(why_none(alone, pictures(19, 1), 0.05))
    assert why_none(train.subset(range(3)), pictures(19, 1), 0.05) is None
    for images, reason in ((alone, "one training image"), (alone.subset([0, 1, 0]), "all alike")):
        with pytest.raises(NoDetectorError, match=reason):
            fit_detector(model, images, pictures(19, 1))
    assert model.detector is None
