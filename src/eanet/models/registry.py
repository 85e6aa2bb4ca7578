"""The named models: adding a row here is all that a new model needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from eanet.errors import EanetError, unknown_name
from eanet.models.classifier import Classifier, ModelConfig
from eanet.models.embedding import Normalization

Builder = Callable[..., Classifier]
"""Takes a `ModelConfig` and the architecture's settings as keywords, each with its default."""


@dataclass(frozen=True)
class ModelEntry:
    """A named architecture."""

    name: str
    summary: str
    build: Builder


_MODELS: dict[str, ModelEntry] = {}


def register_model(build: Builder) -> Builder:
    """Register a builder under its own name; the first line of its docstring is its summary."""
    summary = (inspect.getdoc(build) or "").split("\n")[0]
    _MODELS[build.__name__] = ModelEntry(build.__name__, summary, build)
    return build


def register_variant(name: str, summary: str, build: Builder, **settings: Any) -> None:
    """Register what ``build`` makes with other defaults; the settings stay open to change."""
    _MODELS[name] = ModelEntry(name, summary, partial(build, **settings))


def models() -> tuple[ModelEntry, ...]:
    """Every named architecture, in the order of registration."""
    return tuple(_MODELS.values())


def check_name(name: str) -> None:
    """Raise an `EanetError` that names the nearest model where ``name`` is none."""
    if name not in _MODELS:
        raise unknown_name("model", name, _MODELS)


def unnamed_classes(count: int) -> tuple[str, ...]:
    """What classes are called until somebody names them: "class 0", "class 1", ..."""
    return tuple(f"class {number}" for number in range(count))


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    classes: Sequence[str] | None = None,
    image_size: int = 32,
    in_channels: int = 3,
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
    **settings: Any,
) -> Classifier:
    """Build a named model with fresh weights.

    Args:
        name: one of `models`.
        num_classes: number of classes, as yet without names; 100 unless ``classes`` are given.
        classes: names of the classes.
        image_size: side of the square images, in pixels.
        in_channels: channels of the images.
        normalization: mean and standard deviation per channel, in grey levels 0..255.
        **settings: of the architecture, such as ``depth``; its own defaults hold otherwise.

    Raises:
        EanetError: an unknown name or setting, or sizes that do not fit each other.
    """
    check_name(name)
    if classes is None:
        classes = unnamed_classes(100 if num_classes is None else num_classes)
    elif num_classes not in (None, len(classes)):
        raise EanetError(f"num_classes={num_classes}, but {len(classes)} classes are named")
    if not classes or min(image_size, in_channels) < 1:
        raise EanetError("a model needs at least one class, one channel and one pixel")
    build = _MODELS[name].build
    parameters = inspect.signature(build).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for setting in settings:
        if setting not in known:
            raise unknown_name(f"setting of {name}", setting, known)
    config = ModelConfig(
        name=name,
        image_size=image_size,
        in_channels=in_channels,
        classes=tuple(classes),
        settings=settings,
    )
    try:
        model = build(config, **settings)
    except ValueError as error:
        raise EanetError(f"{name}: {error}") from error
    if normalization is not None:
        mean, std = normalization
        if not len(mean) == len(std) == in_channels:
            raise EanetError(f"normalization needs {in_channels} means and standard deviations")
        model.normalization = Normalization(mean, std)
    return model
