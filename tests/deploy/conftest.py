"""What the tests of deployment share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import eanet
from eanet.models import Classifier, create_model, save_model

CLASSES = ("ant", "bee", "cat", "dog")


@pytest.fixture(scope="session")
def small() -> Classifier:
    """A model of 8 x 8 pixels whose answers differ from image to image."""
    torch.manual_seed(0)
    model = create_model("vit", classes=CLASSES, image_size=8, depth=1, dim=16, heads=2)
    with torch.no_grad():
        model.head.weight.mul_(10)
    return model.eval()


@pytest.fixture(scope="session")
def small_run(small: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this model as a file, and exported to ONNX. Change nothing in it: copy it."""
    folder = tmp_path_factory.mktemp("small")
    save_model(small, folder)
    eanet.export(folder)
    return folder
