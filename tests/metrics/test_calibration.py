from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from eanet.metrics.calibration import Reliability, divide_logits, fit_temperature, verdict
from eanet.metrics.intervals import wilson_interval
from eanet.models import create_model
from eanet.plots.reliability import plot_reliability
from tests.support.pictures import BLUE, ORANGE, amount, pixels


def two_classes(*sure: float) -> np.ndarray:
    """Probabilities of answers that are so sure of the first class."""
    return np.array([(p, 1 - p) for p in sure], dtype=np.float32)


def drawn(count: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, 10) that are too large by a factor, and classes that they were drawn from."""
    random = np.random.default_rng(0)
    true = 2 * random.normal(size=(count, 10))
    labels = (true + random.gumbel(size=true.shape)).argmax(axis=1)
    return (temperature * true).astype(np.float32), labels


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (0.95, "too sure, by 15.0 points on average"),
        (0.9, "neither too sure nor too unsure on average"),
        (0.7, "neither too sure nor too unsure on average"),
        (0.6, "not sure enough, by 20.0 points on average"),
    ],
)
def test_the_verdict_allows_for_the_interval_of_the_accuracy(
    confidence: float, expected: str
) -> None:
    metrics = {"top1": 0.8, "top1_low": 0.7, "top1_high": 0.9, "confidence": confidence}
    assert verdict(metrics) == expected


def test_the_error_by_hand() -> None:
    # 0.9 and 0.92 share the bin (13/15, 14/15], 0.55 lies in (8/15, 9/15], 1.0 in the last.
    probabilities = two_classes(0.9, 0.92, 0.55, 1.0)
    found = Reliability.of(probabilities, np.array([0, 1, 0, 0]))
    assert found.images.tolist() == [0] * 8 + [1, 0, 0, 0, 0, 2, 1]
    assert found.confidence[[8, 13, 14]] == pytest.approx([0.55, 0.91, 1.0])
    assert found.accuracy[[8, 13, 14]].tolist() == [1.0, 0.5, 1.0]
    assert np.isnan(found.accuracy[[0, 7, 9]]).all()
    assert found.error == pytest.approx((1 * 0.45 + 2 * 0.41 + 1 * 0.0) / 4)


def test_the_interval_of_a_bin_counts_groups_of_images() -> None:
    probabilities, labels = two_classes(*[0.9] * 40), np.repeat([0, 1], [30, 10])
    alone = Reliability.of(probabilities, labels)
    assert (alone.low[13], alone.high[13]) == wilson_interval(30, 40)
    assert np.isnan(alone.low[:13]).all()
    within = Reliability.of(probabilities, labels, np.arange(40) // 5)
    assert within.low[13] < alone.low[13] < alone.high[13] < within.high[13]


def test_a_bin_holds_its_upper_edge() -> None:
    found = Reliability.of(two_classes(0.6), np.array([0]))
    assert found.images.argmax() in (8, 9), "float32 has no 0.6"
    exact = Reliability.of(np.array([[1 / 3] * 3]), np.array([0]))
    assert exact.images.argmax() == 4


def test_what_was_drawn_from_the_probabilities_is_calibrated() -> None:
    logits, labels = drawn(20_000, 1)
    assert Reliability.of(softmax(logits, axis=1), labels).error < 0.01
    assert Reliability.of(softmax(3 * logits, axis=1), labels).error > 0.1


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    logits, labels = drawn(20_000, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_the_temperature_has_the_least_loss() -> None:
    logits, labels = drawn(500, 2)
    found = fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        # Smoothing spreads over all ten classes, the doubt of 1/502 over the nine others.
        return torch.nn.functional.cross_entropy(
            torch.from_numpy(logits).double() / temperature,
            torch.from_numpy(labels),
            label_smoothing=10 / 9 / 502,
        ).item()

    assert loss(found) < min(loss(found * 0.999), loss(found * 1.001))


def test_a_model_without_a_mistake_is_not_made_certain() -> None:
    labels = np.arange(100) % 3
    logits = np.eye(3, dtype=np.float32)[labels]
    sure = softmax(logits / fit_temperature(logits, labels), axis=1).max(axis=1)
    assert sure == pytest.approx(1 - 1 / 102)


def test_answers_worse_than_chance_are_flattened() -> None:
    labels = np.arange(100) % 2
    logits = 5 * np.eye(2, dtype=np.float32)[1 - labels]
    assert fit_temperature(logits, labels) == pytest.approx(100)


def test_the_logits_of_a_model_are_divided_by_its_last_layer() -> None:
    torch.manual_seed(0)
    model = create_model("vit", num_classes=5, image_size=8, depth=1).eval()
    torch.nn.init.normal_(model.head.bias)
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    with torch.inference_mode():
        before = model(images)
    divide_logits(model, 2.5)
    with torch.inference_mode():
        torch.testing.assert_close(model(images), before / 2.5)


def test_the_diagram_shows_accuracy_and_its_distance_to_the_confidence(tmp_path: Path) -> None:
    logits, labels = drawn(2000, 1)
    good = Reliability.of(softmax(logits, axis=1), labels)
    bad = Reliability.of(softmax(3 * logits, axis=1), labels)
    near = pixels(plot_reliability(good, tmp_path / "good.png", title="good"))
    far = pixels(plot_reliability(bad, tmp_path / "bad.png", title="bad", before=good))
    assert amount(near, BLUE) > 10_000
    assert amount(far, ORANGE) > amount(near, ORANGE) + 2_000


def test_a_diagram_of_one_image_is_drawn(tmp_path: Path) -> None:
    one = Reliability.of(two_classes(1.0), np.array([1]))
    pixels(plot_reliability(one, tmp_path / "one.png"))
