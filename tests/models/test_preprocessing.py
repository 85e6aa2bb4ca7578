"""How images become pixels is a part of the model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from eanet import EanetError, create_model, load_model, save_model
from eanet.model_files.preprocessing import DEFAULT, Preprocessing

PADDED = Preprocessing("pad", (1, 2, 3), (0, 4095))
MODEL = "eanet_nano:dim=16,depth=1"


def test_it_is_saved_with_the_model_and_kept_when_that_is_adapted(tmp_path: Path) -> None:
    model = create_model(MODEL, classes=["a", "b"], preprocessing=PADDED)
    loaded = load_model(save_model(model, tmp_path))
    assert loaded.config.preprocessing == PADDED
    assert load_model(tmp_path, image_size=16, num_classes=3).config.preprocessing == PADDED
    assert load_model(tmp_path, preprocessing=DEFAULT).config.preprocessing == DEFAULT
    assert json.loads((tmp_path / "config.json").read_text())["preprocessing"] == {
        "fit": "pad",
        "fill": [1, 2, 3],
        "levels": [0, 4095],
    }


def rewritten(path: Path, preprocessing: object) -> Path:
    """The model file with something else, or nothing, about its preprocessing."""
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["eanet"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del metadata["preprocessing"]
    if preprocessing is not None:
        metadata["preprocessing"] = preprocessing
    save_file(tensors, path, {"format": "pt", "eanet": json.dumps(metadata)})
    return path


def test_a_file_that_does_not_mention_it_has_the_defaults(tmp_path: Path) -> None:
    model = create_model(MODEL, num_classes=2, preprocessing=PADDED)
    path = rewritten(save_model(model, tmp_path), None)
    assert load_model(path).config.preprocessing == DEFAULT == Preprocessing("crop", levels=None)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"fit": "stretch"}, "fit=stretch: should be 'crop', 'pad' or 'squash'"),
        ({"fill": [0, 0, 256]}, "less than or equal to 255"),
        ({"levels": [5, 5]}, "levels=.*the second larger"),
        ({"levels": [0, float("nan")]}, "finite"),
        ({"depth": 3}, "unknown setting 'depth'"),
        ([1], "cannot build"),
    ],
)
def test_one_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, wrong: object, reason: str
) -> None:
    path = rewritten(save_model(create_model(MODEL, num_classes=2), tmp_path), wrong)
    with pytest.raises(EanetError, match=reason) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_it_is_read_as_it_was_written_and_can_be_a_key() -> None:
    assert Preprocessing.parse(json.loads(json.dumps(asdict(PADDED)))) == PADDED
    assert len({PADDED, DEFAULT, Preprocessing()}) == 2
