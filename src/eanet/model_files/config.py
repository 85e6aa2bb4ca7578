"""What a model is, apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eanet.errors import EanetError
from eanet.model_files.preprocessing import DEFAULT, Preprocessing


@dataclass(frozen=True, kw_only=True)
class _ModelConfig:
    name: str
    image_size: int
    in_channels: int
    classes: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    preprocessing: Preprocessing = DEFAULT


class ModelConfig(_ModelConfig):
    """Everything needed to rebuild a model, except its weights.

    Its fields cannot be set, since the model was built from them. Other attributes can: training
    loops keep theirs here, as Hugging Face's ``Trainer`` does with ``use_cache``. They are neither
    saved nor compared. (A frozen dataclass refuses all attributes, a subclass of one its fields.)

    Attributes:
        name: of the architecture.
        image_size: side of the square images, in pixels.
        in_channels: channels of the images.
        classes: names of the classes, in the order of the logits.
        settings: those given for the architecture; its defaults apply to the others.
        preprocessing: how images become pixels of this size, as those that it was trained on did.
    """


def check_rgb(config: ModelConfig) -> None:
    """Raise an `EanetError` if a model takes other images than those that are decoded for it."""
    if config.in_channels != 3:
        raise EanetError(f"the model takes {config.in_channels}-channel images, not RGB")
