"""The registry of named models: registering a builder is all that a new model needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Annotated, Any

from pydantic import Field
from pydantic import create_model as create_settings

from eanet.config import MOST_SIDE
from eanet.console import notice_once
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.model_files.config import ModelConfig
from eanet.model_files.find import bundled_models
from eanet.model_files.preprocessing import DEFAULT, Preprocessing
from eanet.models.classifier import Classifier
from eanet.models.embedding import Normalization
from eanet.settings import Settings

# A file of a few bytes may ask for any model: bounds far beyond what can be trained.
_Width = Annotated[int, Field(ge=1, le=1 << 16)]
Depth = Annotated[int, Field(ge=1, le=1000)]
"""A number of blocks, as a setting of a model."""

Builder = Callable[..., Classifier]
"""Takes a `ModelConfig` and the architecture's settings as keywords, each with a default.

Every architecture has the settings ``dropout`` and ``drop_path``, which recipes set, and
``patch_size``, which fine-tuning for larger images keeps.
"""


@dataclass(frozen=True)
class ModelEntry:
    """A named architecture."""

    name: str
    summary: str
    build: Builder


_MODELS: dict[str, ModelEntry] = {}


def register_model(build: Builder) -> Builder:
    """Register a builder under its own name; the first line of its docstring is its summary.

    Its module has to be imported by `eanet.models`.
    """
    summary = (inspect.getdoc(build) or "").split("\n")[0]
    _MODELS[build.__name__] = ModelEntry(build.__name__, summary, build)
    return build


def register_variant(name: str, summary: str, build: Builder, **settings: Any) -> None:
    """Register ``build`` with other defaults, which callers can still change."""
    _MODELS[name] = ModelEntry(name, summary, partial(build, **settings))


def models() -> tuple[ModelEntry, ...]:
    """Return every named architecture, in order of registration."""
    return tuple(_MODELS.values())


def parse_model_name(text: str) -> tuple[str, dict[str, Any]]:
    """Parse ``NAME`` or ``NAME:SETTING=VALUE,...`` into a model's name and its settings.

    Raises:
        EanetError: an unknown model or setting, or a value that the setting does not accept.
    """
    if not isinstance(text, str):
        raise WrongArgumentError(f"a model is given by its name, not by {type(text).__name__}")
    name, _, rest = text.partition(":")
    if name in bundled_models():
        raise WrongArgumentError(
            f"{name} is a trained model, not an architecture: eanet.load_model({name!r}) loads it, "
            f"and a training begins with it by init={name}"
        )
    if name not in _MODELS:
        raise unknown_name("model", name, _MODELS)
    given: dict[str, str] = {}
    for pair in rest.split(",") if rest else ():
        setting, equals, value = (part.strip() for part in pair.partition("="))
        if not (setting and equals and value) or setting in given:
            raise WrongArgumentError(f"model {text}: {pair!r} is not SETTING=VALUE, each once")
        given[setting] = value
    return name, parse_settings(name, given)


def format_model_name(name: str, settings: Mapping[str, Any]) -> str:
    """Format a model's name and settings as `parse_model_name` takes them."""
    pairs = ",".join(f"{key}={format_value(value)}" for key, value in settings.items())
    return f"{name}:{pairs}" if pairs else name


def format_value(value: Any) -> str:
    """Format the value of a setting as `parse_model_name` takes it."""
    words = {None: "none", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def parse_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the settings of a model, and convert strings to numbers and switches as needed.

    Raises:
        EanetError: an unknown setting, or a value that it does not accept.
    """
    return _parse(name, given).model_dump(exclude_unset=True)


def all_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Like `parse_settings`, with the defaults of what is not given."""
    return _parse(name, given).model_dump()


def _parse(name: str, given: Mapping[str, Any]) -> Settings:
    signature = inspect.signature(_MODELS[name].build, eval_str=True)
    known: dict[str, Any] = {
        p.name: (_bounded(p.annotation), p.default)
        for p in signature.parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    settings: type[Settings] = create_settings(name, __base__=Settings, **known)
    return settings.parse(given, name)


def _bounded(annotation: Any) -> Any:
    """Bound the integers: widths and counts, none of which can be 0."""
    if annotation is int:
        return _Width
    return _Width | None if annotation == int | None else annotation


def unnamed_classes(count: int) -> tuple[str, ...]:
    """Return placeholder names of classes: "class 0", "class 1", ..."""
    return tuple(f"class {number}" for number in range(count))


def _check_keywords(name: str, keywords: Iterable[str]) -> None:
    """Raise an `EanetError` for a keyword that neither `create_model` nor the architecture has."""
    if "pretrained" in keywords:
        trained = " or ".join(bundled_models())
        raise WrongArgumentError(
            f"pretrained: create_model makes fresh weights; eanet.load_model loads trained ones, "
            f"{trained}, with classes=[...] for others"
        )
    own = inspect.signature(_MODELS[name].build).parameters.values()
    settings = {parameter.name for parameter in own if parameter.kind is parameter.KEYWORD_ONLY}
    of_all = inspect.signature(create_model).parameters.keys() - {"name", "settings"}
    for keyword in keywords:
        if keyword not in settings:
            raise WrongArgumentError(
                f"{name}: {unknown_name('setting', keyword, settings | of_all)}"
            )


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    classes: Sequence[str] | None = None,
    image_size: int = 32,
    in_channels: int = 3,
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
    preprocessing: Preprocessing = DEFAULT,
    **settings: Any,
) -> Classifier:
    """Build a named model with fresh weights.

    Args:
        name: one of `models`, optionally with settings, as ``NAME:SETTING=VALUE,...``.
        num_classes: number of unnamed classes; 100 unless ``classes`` is given.
        classes: names of the classes.
        image_size: side of the square images, in pixels.
        in_channels: channels of the images.
        normalization: mean and standard deviation per channel, in grey levels 0..255.
        preprocessing: how the images that it is trained on became pixels.
        **settings: of the architecture, such as ``depth``; its defaults apply to the others.

    Raises:
        EanetError: an unknown name or setting, or values that do not fit.

    Examples:
        >>> model = eanet.create_model("keras_eanet", num_classes=100, image_size=32)
        >>> model.num_parameters
        361380
        >>> eanet.create_model("eanet_tiny:depth=4").config.settings
        {'depth': 4}
    """
    if not isinstance(image_size, Integral):
        raise WrongArgumentError(f"image_size={image_size}: images are square, one number will do")
    for what, count in (("num_classes", num_classes), ("in_channels", in_channels)):
        if not isinstance(count, Integral | None):
            raise WrongArgumentError(f"{what}={count!r}: should be a whole number")
    if isinstance(classes, Mapping | Set):
        raise WrongArgumentError(
            f"classes: a list of names is needed, in the order of their numbers, not a "
            f"{type(classes).__name__}"
        )
    if isinstance(classes, str):
        raise WrongArgumentError(f"classes={classes!r}: a list of names is needed, not one text")
    if isinstance(classes, Integral):
        raise WrongArgumentError(f"classes={classes}: a list of names; num_classes is their number")
    if num_classes == 0:
        raise WrongArgumentError(
            "num_classes=0: a model has at least one class; pooled_features gives what its head "
            "takes, forward_features the tokens"
        )
    name, own = parse_model_name(name)
    _check_keywords(name, settings)
    settings = own | parse_settings(name, settings)
    if classes is None:
        classes = unnamed_classes(100 if num_classes is None else num_classes)
    classes = tuple(map(str, classes))  # names may be numbers, or from NumPy or pandas
    if len(set(classes)) < len(classes):  # answers are told by name
        twice = next(name for name in classes if classes.count(name) > 1)
        raise WrongArgumentError(
            f"classes: {classes.count(twice)} are named {twice!r}; give each a name of its own"
        )
    if not classes or min(image_size, in_channels) < 1:
        raise EanetError("a model needs at least one class, one channel and one pixel")
    if num_classes not in (None, len(classes)):
        raise EanetError(f"the model has {num_classes} classes, but {len(classes)} are named")
    if image_size > MOST_SIDE:
        raise EanetError(f"image_size={image_size}: models take images of up to {MOST_SIDE} pixels")
    build = _MODELS[name].build
    config = ModelConfig(
        name=name,
        image_size=int(image_size),
        in_channels=int(in_channels),
        classes=classes,
        settings=settings,
        preprocessing=preprocessing,
    )
    try:
        model = build(config, **settings)
    except ValueError as error:
        raise EanetError(f"{name}: {error}") from error
    if normalization is not None:
        model.normalization = _normalization(normalization, in_channels)
    return model


def _normalization(given: Iterable[Iterable[float]], channels: int) -> Normalization:
    try:
        mean, std = (list(map(float, part)) for part in given)
    except (TypeError, ValueError):
        mean = std = []
    if not len(mean) == len(std) == channels:
        raise EanetError(f"normalization needs {channels} means and {channels} standard deviations")
    if 0 < max(mean) <= 1 and max(std) <= 1:  # such as those of ImageNet that torchvision has
        notice_once(
            "normalization: mean and standard deviation are in grey levels, 0 to 255, so these are "
            "of nearly black images; multiply those of images from 0 to 1 by 255"
        )
    return Normalization(mean, std)
