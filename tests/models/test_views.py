"""Answers averaged over views of an image."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from eanet import EanetError, create_model, load_model, save_model
from eanet.config import VIEWS
from eanet.models import Classifier
from eanet.models.operations import multiply_adds
from eanet.models.unknown import DetectorFit, UnknownDetector
from eanet.models.views import views_of


def model(views: int = 1, size: int = 16) -> Classifier:
    torch.manual_seed(0)
    made = create_model("vit", num_classes=3, image_size=size, depth=1, dim=16, heads=2)
    torch.nn.init.normal_(made.head.weight)
    made.views = views
    return made.eval()


def images(count: int = 4, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def test_views_are_the_image_its_mirror_and_its_shifts() -> None:
    image = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    up = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 12, 13, 14, 15]
    down = [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    left = [1, 2, 3, 3, 5, 6, 7, 7, 9, 10, 11, 11, 13, 14, 15, 15]
    right = [0, 0, 1, 2, 4, 4, 5, 6, 8, 8, 9, 10, 12, 12, 13, 14]
    five = [list(range(16)), up, down, left, right]
    assert views_of(image, 5).flatten(1).tolist() == five
    assert torch.equal(views_of(image, 1), image)
    assert torch.equal(views_of(image, 2), torch.cat([image, image.flip(3)]))
    ten = views_of(image, 10)
    assert torch.equal(ten, torch.cat([ten[:5], ten[:5].flip(3)]))


def test_large_images_are_shifted_by_a_sixteenth() -> None:
    image = images(1, 64)
    assert torch.equal(views_of(image, 5)[1, :, :-4], image[0, :, 4:])


@pytest.mark.parametrize("views", VIEWS)
def test_logits_are_the_mean_over_views_in_evaluation_alone(views: int) -> None:
    one, several, pixels = model(), model(views), images()
    with torch.inference_mode():
        expected = one(views_of(pixels, views)).view(views, 4, 3).mean(0)
        torch.testing.assert_close(several(pixels), expected)
        torch.testing.assert_close(several.train()(pixels), one.train()(pixels))
    assert multiply_adds(several.eval()) == views * multiply_adds(one.eval())


def test_the_distance_is_that_of_the_image_itself() -> None:
    one, several = model(), model(10)
    detector = UnknownDetector(16, 3, DetectorFit(0.05, 10, 20))
    torch.nn.init.normal_(detector.whitening)
    one.detector = several.detector = detector
    with torch.inference_mode():
        torch.testing.assert_close(
            several.forward_with_distance(images())[1], one.forward_with_distance(images())[1]
        )


def test_views_are_saved_with_the_model_and_left_out_by_an_adapted_one(tmp_path: Path) -> None:
    save_model(model(5), tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.views == 5
    assert torch.equal(loaded(images()), model(5)(images()))
    assert load_model(tmp_path, num_classes=2).views == 1


def test_a_file_with_other_views_is_one_line(tmp_path: Path) -> None:
    made = model()
    made.views = 5
    file = save_model(made, tmp_path)
    file.write_bytes(file.read_bytes().replace(b'\\"views\\": 5', b'\\"views\\": 9'))
    with pytest.raises(EanetError, match=r"cannot build \(views=9\)"):
        load_model(tmp_path)


def test_wrong_images_are_refused_as_ever() -> None:
    with pytest.raises(ValueError, match="takes images"):
        model(5)(images(2, 8))
