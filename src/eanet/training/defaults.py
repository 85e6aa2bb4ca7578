"""Defaults for the settings that were left open: what suits the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

from eanet.config import TrainSettings
from eanet.console import notice
from eanet.data.batches import default_batch_size
from eanet.data.facts import Facts, look
from eanet.data.sources import own_images
from eanet.device import Device, resolve_device
from eanet.models.registry import format_value
from eanet.models.weights import DEFAULT_MODEL


class Choice(NamedTuple):
    """The value of one setting, and the reason in a few words."""

    setting: str
    value: str | int | None
    reason: str


NAMED: Mapping[str, tuple[Choice, ...]] = {
    "digits": (
        Choice("model", "keras_eanet", "the network that this project began with"),
        Choice("recipe", "default", "light augmentation, so that digits stay digits"),
    ),
    **{
        name: (
            Choice("model", "eanet_tiny", "made for images of 32 x 32"),
            Choice("recipe", "cifar", "made for CIFAR"),
        )
        for name in ("cifar10", "cifar100")
    },
}
"""Choices for built-in data sets: the same on every machine, so that results are comparable."""

PHOTOGRAPH = 48  # pixels of the shorter side; anything smaller is an icon, character or thumbnail
SIZES: Mapping[Device, int] = {"cpu": 64, "mps": 96, "cuda": 128}
FEW = 5000  # photographs
FINE_TUNING = "finetune"
LEAST_BATCH = 32
FEWEST_EPOCHS, MOST_EPOCHS = 30, 300


def choose(facts: Facts | str, device: Device, *, scratch: bool = False) -> tuple[Choice, ...]:
    """Choose the settings that determine the cost and accuracy of a training.

    Args:
        facts: facts about the user's own images, or the name of a data set with fixed choices.
        device: device to train on.
        scratch: start from random weights, even where pretrained ones would be chosen.
    """
    if isinstance(facts, str):
        return NAMED[facts]
    model = (
        Choice("model", "eanet_nano", "the smallest of the family, for training on a CPU")
        if device == "cpu"
        else Choice("model", "eanet_small", "large, for training on a GPU")
    )
    if 0 < facts.side < PHOTOGRAPH:
        size = max(8, -(-facts.side // 4) * 4)
        return (
            model,
            Choice("image_size", size, "about as large as the images"),
            Choice("recipe", "default", "light augmentation: small images may hold characters"),
            Choice("flip", False, "a mirrored character may be another one"),
        )
    if facts.images <= FEW and not scratch:
        return (
            Choice("init", DEFAULT_MODEL, "few photographs: pretrained weights do better"),
            Choice("model", "eanet_tiny", "matches these weights"),
            Choice("image_size", 64, "the fastest size with enough detail"),
            Choice("recipe", FINE_TUNING, "short: the weights only adapt"),
        )
    why = "as you named a model or recipe; otherwise pretrained weights"
    random = (Choice("init", None, why),) if facts.images <= FEW else ()
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(4700 / sqrt(facts.images) / 10) * 10))
    batch_size = max(LEAST_BATCH, default_batch_size(facts.images))
    size = SIZES[device]
    return (
        *random,
        model,
        Choice("image_size", size, f"the fastest size with enough detail, for {device}"),
        Choice("recipe", "photos", "photographs: strong augmentation adds variety"),
        Choice("epochs", epochs, "the fewer images, the more often each is shown"),
        Choice("batch_size", batch_size, f"{-(-facts.images // batch_size):,} steps per epoch"),
    )


def decide(settings: TrainSettings) -> tuple[TrainSettings, tuple[Choice, ...]]:
    """Return the settings with every open one chosen, and these choices.

    Epochs are chosen only together with the recipe: a recipe that was asked for has its own.
    Pretrained weights are chosen only if neither another model nor another recipe was asked for.

    Raises:
        EanetError: the images cannot be found.
    """
    facts = settings.data if settings.data in NAMED else look(own_images(settings.data))
    given = settings.given()
    asked = {name for name, value in given.items() if value is not None or name == "init"}
    other = settings.model is not None or settings.recipe not in (None, FINE_TUNING)
    scratch = settings.init is None and ("init" in given or other)
    if asked & {"recipe", "minutes"}:
        asked.add("epochs")
    choices = choose(facts, resolve_device(settings.device), scratch=scratch)
    left = tuple(choice for choice in choices if choice.setting not in asked)
    values = {choice.setting: choice.value for choice in left}
    if settings.minutes is not None:
        given.pop("epochs", None)  # the recipe's, which `resolve` reads again
    return TrainSettings.resolve(**{**given, **values}), left


def tell(choices: Sequence[Choice]) -> None:
    """Print the choices as a table."""
    if not choices:
        return
    notice("chosen for these images; options you give override them:")
    wide = max(len(format_value(choice.value)) for choice in choices)
    for setting, value, reason in choices:
        notice(f"  {setting.replace('_', ' '):<10}  {format_value(value):<{wide}}  {reason}")
