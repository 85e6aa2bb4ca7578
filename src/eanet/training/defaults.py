"""Defaults for the settings that were left open: what suits the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from eanet.config import Fit, TrainSettings
from eanet.data.batches import default_batch_size
from eanet.data.fit import choose_fit
from eanet.data.registry import Default
from eanet.data.statistics import ImageStatistics
from eanet.device import Device

PHOTOGRAPH = 48  # pixels of the shorter side; anything smaller is an icon, character or thumbnail
SIZES: Mapping[Device, int] = {"cpu": 64, "mps": 96, "cuda": 128}
FEW = 5000  # photographs
FINE_TUNING = "finetune"
PRETRAINED = "eanet_tiny_64"
"""The bundled model that is fine-tuned on few photographs."""
LEAST_BATCH = 32
FEWEST_EPOCHS, MOST_EPOCHS = 30, 300


def recommend(
    settings: TrainSettings, images: Sequence[Default] | ImageStatistics, device: Device
) -> tuple[Default, ...]:
    """Recommend values for the settings left open that determine the cost and accuracy of a run.

    Epochs are recommended only together with the recipe: a recipe that was asked for has its own.
    Pretrained weights are recommended only if neither another model nor another recipe was asked
    for. Weights determine their model.

    Args:
        settings: as given.
        images: the recommendations of a named data set, or statistics of the user's own images.
        device: device to train on.
    """
    given = settings.given()
    settled = {name for name, value in given.items() if value is not None or name == "init"}
    if settings.init is not None:
        settled.add("model")
    if settled & {"recipe", "minutes"}:
        settled.add("epochs")
    if isinstance(images, ImageStatistics):
        other = settings.model is not None or settings.recipe not in (None, FINE_TUNING)
        from_scratch = settings.init is None and ("init" in given or other)
        images = for_own_images(images, device, from_scratch=from_scratch, fit=settings.fit)
    return tuple(default for default in images if default.setting not in settled)


def fill(settings: TrainSettings, defaults: Sequence[Default]) -> TrainSettings:
    """Return the settings with recommended values for what was left open."""
    return settings.with_defaults({default.setting: default.value for default in defaults})


def for_own_images(
    images: ImageStatistics, device: Device, *, from_scratch: bool = False, fit: Fit | None = None
) -> tuple[Default, ...]:
    """Recommend settings for a user's own images.

    Args:
        images: statistics of the training images.
        device: device to train on.
        from_scratch: start from random weights, even where pretrained ones would be recommended.
        fit: how they become squares, if that was given.
    """
    suits, why = choose_fit(images)
    side = images.longer if (fit or suits) == "pad" else images.side
    others = _by_size_and_number(images, device, side, from_scratch)
    return (*others, Default("fit", suits, why)) if images.cropped else others


def suitable_size(images: ImageStatistics, fit: Fit | None = None) -> int:
    """Return the side in pixels that is recommended for a user's own images on a CPU."""
    values = {default.setting: default.value for default in for_own_images(images, "cpu", fit=fit)}
    size = values["image_size"]
    assert isinstance(size, int)  # each of these recommendations has one
    return size


def _by_size_and_number(
    images: ImageStatistics, device: Device, side: int, from_scratch: bool
) -> tuple[Default, ...]:
    """Recommend all but the fit; ``side`` is what becomes the image size."""
    model = (
        Default("model", "eanet_nano", "the smallest of the family, for training on a CPU")
        if device == "cpu"
        else Default("model", "eanet_small", "large, for training on a GPU")
    )
    if 0 < images.side < PHOTOGRAPH:
        size = max(8, min(SIZES[device], -(-side // 4) * 4))
        return (
            model,
            Default("image_size", size, "about as large as the images"),
            Default("recipe", "default", "light augmentation: small images may hold characters"),
            Default("flip", False, "a mirrored character may be another one"),
        )
    if images.images <= FEW and not from_scratch:
        return (
            Default("init", PRETRAINED, "few photographs: pretrained weights do better"),
            Default("model", "eanet_tiny", "matches these weights"),
            Default("image_size", 64, "96 takes twice as long, and was no better on average"),
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
        Default("image_size", size, f"quick on {device}; a larger one shows more detail"),
        Default("recipe", "photos", "photographs: strong augmentation adds variety"),
        Default("epochs", epochs, "the fewer images, the more often each is shown"),
        Default("batch_size", batch_size, f"{-(-images.images // batch_size):,} steps per epoch"),
    )
