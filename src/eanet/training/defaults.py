"""Defaults for the settings that were left open: what suits the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from eanet.config import TrainSettings
from eanet.console import notice
from eanet.data.batches import default_batch_size
from eanet.data.registry import Default
from eanet.data.source import open_source
from eanet.data.statistics import ImageStatistics
from eanet.device import Device, resolve_device
from eanet.models.registry import format_value
from eanet.models.weights import DEFAULT_MODEL

PHOTOGRAPH = 48  # pixels of the shorter side; anything smaller is an icon, character or thumbnail
SIZES: Mapping[Device, int] = {"cpu": 64, "mps": 96, "cuda": 128}
FEW = 5000  # photographs
FINE_TUNING = "finetune"
LEAST_BATCH = 32
FEWEST_EPOCHS, MOST_EPOCHS = 30, 300


def choose(
    images: ImageStatistics, device: Device, *, scratch: bool = False
) -> tuple[Default, ...]:
    """Choose the settings that determine the cost and accuracy of a training.

    Args:
        images: statistics of the user's own images.
        device: device to train on.
        scratch: start from random weights, even where pretrained ones would be chosen.
    """
    model = (
        Default("model", "eanet_nano", "the smallest of the family, for training on a CPU")
        if device == "cpu"
        else Default("model", "eanet_small", "large, for training on a GPU")
    )
    if 0 < images.side < PHOTOGRAPH:
        size = max(8, -(-images.side // 4) * 4)
        return (
            model,
            Default("image_size", size, "about as large as the images"),
            Default("recipe", "default", "light augmentation: small images may hold characters"),
            Default("flip", False, "a mirrored character may be another one"),
        )
    if images.images <= FEW and not scratch:
        return (
            Default("init", DEFAULT_MODEL, "few photographs: pretrained weights do better"),
            Default("model", "eanet_tiny", "matches these weights"),
            Default("image_size", 64, "the fastest size with enough detail"),
            Default("recipe", FINE_TUNING, "short: the weights only adapt"),
        )
    why = "as you named a model or recipe; otherwise pretrained weights"
    random = (Default("init", None, why),) if images.images <= FEW else ()
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(4700 / sqrt(images.images) / 10) * 10))
    batch_size = max(LEAST_BATCH, default_batch_size(images.images))
    size = SIZES[device]
    return (
        *random,
        model,
        Default("image_size", size, f"the fastest size with enough detail, for {device}"),
        Default("recipe", "photos", "photographs: strong augmentation adds variety"),
        Default("epochs", epochs, "the fewer images, the more often each is shown"),
        Default("batch_size", batch_size, f"{-(-images.images // batch_size):,} steps per epoch"),
    )


def decide(settings: TrainSettings) -> tuple[TrainSettings, tuple[Default, ...]]:
    """Return the settings with every open one chosen, and these choices.

    Epochs are chosen only together with the recipe: a recipe that was asked for has its own.
    Pretrained weights are chosen only if neither another model nor another recipe was asked for.

    Raises:
        EanetError: the images cannot be found.
    """
    source = open_source(settings.data)
    given = settings.given()
    asked = {name for name, value in given.items() if value is not None or name == "init"}
    other = settings.model is not None or settings.recipe not in (None, FINE_TUNING)
    scratch = settings.init is None and ("init" in given or other)
    if asked & {"recipe", "minutes"}:
        asked.add("epochs")
    device = resolve_device(settings.device)
    choices = source.defaults or choose(source.statistics(), device, scratch=scratch)
    left = tuple(choice for choice in choices if choice.setting not in asked)
    values = {choice.setting: choice.value for choice in left}
    if settings.minutes is not None:
        given.pop("epochs", None)  # the recipe's, which `resolve` reads again
    return TrainSettings.resolve(**{**given, **values}), left


def tell(choices: Sequence[Default]) -> None:
    """Print the choices as a table."""
    if not choices:
        return
    notice("chosen for these images; options you give override them:")
    wide = max(len(format_value(choice.value)) for choice in choices)
    for setting, value, reason in choices:
        notice(f"  {setting.replace('_', ' '):<10}  {format_value(value):<{wide}}  {reason}")
