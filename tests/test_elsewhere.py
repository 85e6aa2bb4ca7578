"""Names of other libraries lead to settings that exist."""

from __future__ import annotations

import pytest

from eanet.config import TrainSettings
from eanet.elsewhere import NAMES, name_here
from eanet.errors import WrongArgumentError


def test_every_name_leads_to_a_setting_and_is_none_itself() -> None:
    settings = TrainSettings.model_fields
    assert set(NAMES.values()) <= settings.keys()
    assert not NAMES.keys() & settings.keys()


def test_options_have_dashes_and_only_what_is_known_is_named() -> None:
    assert name_here("--img-size", ["--image-size", "--top"]) == "--image-size"
    assert name_here("img_size", ["top"]) is None
    assert name_here("imagesize", ["image_size"]) is None


def test_a_setting_of_another_library_is_answered_with_ours() -> None:
    with pytest.raises(
        WrongArgumentError, match=r"^unknown setting 'lr'; here it is 'learning_rat"
    ):
        TrainSettings.with_recipe(lr=0.1)


def test_a_share_for_the_validation_split_is_answered_with_the_fraction() -> None:
    with pytest.raises(WrongArgumentError, match=r"'last'; the share is validation_fraction$"):
        TrainSettings.with_recipe(validation_split=0.2)
    assert TrainSettings.with_recipe(validation_split="last").validation_split == "last"
