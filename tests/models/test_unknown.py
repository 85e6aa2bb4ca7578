from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eanet.errors import EanetError
from eanet.model_files.find import CONFIG_FILE
from eanet.models import Classifier, create_model, load_model, save_model
from eanet.models.unknown import DetectorFit, UnknownDetector
from eanet.models.weights import model_metadata

FIT = DetectorFit(0.05, 27, 19)


def detector(dim: int = 6, classes: int = 4) -> UnknownDetector:
    made = UnknownDetector(dim, classes, FIT)
    generator = torch.Generator().manual_seed(0)
    made.whitening.copy_(torch.randn(dim, dim, generator=generator))
    made.means.copy_(torch.randn(classes, dim, generator=generator))
    return made


@pytest.fixture
def model() -> Classifier:
    made = create_model("vit", num_classes=4, image_size=8, depth=1).eval()
    made.detector = detector(made.head.in_features)
    return made


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)


def test_the_distance_is_that_to_the_nearest_mean_of_whitened_features() -> None:
    features = torch.randn(5, 6)
    made = detector()
    expected = torch.cdist(features @ made.whitening, made.means).amin(1)
    torch.testing.assert_close(made(features), expected, atol=1e-4, rtol=1e-4)
    assert made(torch.linalg.solve(made.whitening.T, made.means[2])[None]).item() < 1e-2


def test_classes_far_apart_leave_distances_exact() -> None:
    made = UnknownDetector(6, 4, FIT)
    made.whitening.copy_(torch.eye(6))
    made.means.copy_(3000.0 * torch.arange(1, 5)[:, None])
    features = made.means + torch.tensor([0.01, 0.1, 1.0, 10.0])[:, None]
    expected = torch.cdist(features.double(), made.means.double()).amin(1)
    torch.testing.assert_close(made(features).double(), expected, atol=1e-9, rtol=1e-6)


def test_the_distance_is_computed_in_float32_whatever_the_model_is_in(model: Classifier) -> None:
    made, features = detector(), torch.randn(5, 6).bfloat16()
    expected = made(features.float())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(made(features), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_of_another_type_measures_distances(
    model: Classifier, images: Tensor, dtype: torch.dtype
) -> None:
    with torch.inference_mode():
        expected = model.forward_with_distance(images)[1]
        found = model.to(dtype).forward_with_distance(images)[1]
    assert found is not None
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0.05)


def test_a_model_answers_the_same_with_a_detector(model: Classifier, images: Tensor) -> None:
    with torch.inference_mode():
        logits, distance = model.forward_with_distance(images)
        torch.testing.assert_close(logits, model(images), atol=0, rtol=0)
        assert distance is not None
        assert distance.shape == (3,)
        model.detector = None
        torch.testing.assert_close(logits, model(images), atol=0, rtol=0)
        assert model.forward_with_distance(images)[1] is None


def test_a_detector_is_saved_with_the_model(
    model: Classifier, images: Tensor, tmp_path: Path
) -> None:
    loaded = load_model(save_model(model, tmp_path))
    assert loaded.detector is not None
    assert loaded.detector.fit == FIT
    with torch.inference_mode():
        torch.testing.assert_close(
            loaded.forward_with_distance(images), model.forward_with_distance(images)
        )
    written = json.loads((tmp_path / CONFIG_FILE).read_text())
    assert written["unknown"] == {
        "false_rejections": 0.05,
        "train_images": 27,
        "validation_images": 19,
    }
    model.detector = None
    assert "unknown" not in model_metadata(model)


def test_a_damaged_description_of_a_detector_is_one_line(model: Classifier, tmp_path: Path) -> None:
    path = save_model(model, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"train_images", b"train_imagez"))
    with pytest.raises(EanetError, match="cannot build"):
        load_model(path)


def test_a_model_to_be_trained_on_has_no_detector(model: Classifier, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    assert load_model(tmp_path, image_size=16).detector is None
    assert load_model(tmp_path, num_classes=2).detector is None
