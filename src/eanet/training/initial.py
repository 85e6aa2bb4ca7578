"""Fine-tuning: a run that starts from the weights of a trained model."""

from __future__ import annotations

from pathlib import Path

from eanet.config import TrainSettings
from eanet.console import notice
from eanet.data.source import open_source
from eanet.errors import EanetError, WrongArgumentError
from eanet.models import Classifier, adapt_weights, create_model, load_model
from eanet.models.registry import all_settings, format_model_name, parse_model_name
from eanet.models.weights import model_digest
from eanet.training.run_directory import CHECKPOINT, MODELS, RunDirectory

RECIPE = ("dropout", "drop_path")  # model settings that each run sets for itself


def with_architecture(settings: TrainSettings) -> TrainSettings:
    """Return the settings with the architecture of the ``init`` model, if there is one.

    Raises:
        EanetError: there is no such model, or another architecture was asked for.
    """
    if settings.init is None:
        return settings
    config = load_model(settings.init).config
    if config.in_channels != 3:
        raise EanetError(
            f"{settings.init} takes {config.in_channels}-channel images, not RGB; use another model"
        )
    own = {name: value for name, value in config.settings.items() if name not in RECIPE}
    if settings.model is not None:
        name, asked = parse_model_name(settings.model)
        if name != config.name or not asked.items() <= all_settings(name, own).items():
            raise WrongArgumentError(
                f"{settings.init} is {format_model_name(config.name, own)}, not {settings.model}: "
                "leave out --model or --init"
            )
    return settings.model_copy(update={"model": format_model_name(config.name, own)})


def with_scale(settings: TrainSettings, asked: int | None) -> TrainSettings:
    """Return the settings with patch and image size to suit the ``init`` model, if there is one.

    A token covers as many pixels as before. Images are at least as large as before, unless
    another size was ``asked`` for.
    """
    if settings.init is None:
        return settings
    model = load_model(settings.init)
    size = settings.image_size or open_source(settings.data).natural_size
    least = model.config.image_size
    if asked is None and size < least:
        notice(f"image size {least}: what {settings.init} was made for")
        size = least
    assert settings.model is not None, "with_architecture set it"
    name, own = parse_model_name(settings.model)
    patch_size = model.embedding.patch_size
    if create_model(name, image_size=size, **own).embedding.patch_size != patch_size:
        own["patch_size"] = patch_size
    return settings.model_copy(update={"model": format_model_name(name, own), "image_size": size})


def begin_with(model: Classifier, where: str | Path) -> None:
    """Load trained weights as `adapt_weights` does, and say so.

    Args:
        model: model with fresh weights, for its own classes and image size.
        where: see `load_model`.
    """
    trained = load_model(where)
    keeps_head = adapt_weights(trained, model)
    grid, size = model.embedding.grid, trained.config.image_size
    notice(
        f"starts from the weights of {where} ({size} x {size} pixels, {len(trained.classes)} "
        f"classes), with {'its' if keeps_head else 'a new'} head; {grid} x {grid} tokens"
    )


def once_begun(settings: TrainSettings, run: RunDirectory) -> TrainSettings:
    """Return the settings of a resumed run, without ``init`` if its checkpoint has the weights.

    Raises:
        EanetError: a model that the run still needs has changed since it began.
    """
    if (run.path / CHECKPOINT).is_file():
        settings = settings.model_copy(update={"init": None})
    digests = run.read_config()
    for name in MODELS:
        where = getattr(settings, name)
        if where is not None and model_digest(where) != digests[name]["sha256"]:
            raise EanetError(
                f"{where} is no longer the model that {run.path} began with; start a new run"
            )
    return settings
