"""What a run will be: every choice in one place, each with its reason.

`recommend` fills what was left open, `plan` settles what to load, and `resolve` the rest once the
images are there. None of them prints, or reads a file other than a recipe of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch

from eanet.config import PlannedSettings, Recipe, ResolvedSettings, TrainSettings
from eanet.data.batches import default_batch_size
from eanet.data.registry import Default
from eanet.data.source import Source
from eanet.data.splits import Dataset
from eanet.device import Machine
from eanet.errors import EanetError, WrongArgumentError
from eanet.models import create_model
from eanet.models.registry import all_settings, format_model_name, parse_model_name
from eanet.training.defaults import fill
from eanet.training.pretrained import REGULARIZATION, Pretrained

# Compiling takes about a minute; without it, this many operations take several minutes.
WORTH_COMPILING = {"cpu": 2e13, "cuda": 1e15}
WORTH_COMPILING_MINUTES = 30.0  # compiling takes several on a busy machine


class Plan(NamedTuple):
    """What a run will be as far as its images do not decide it, and the defaults used for that."""

    settings: PlannedSettings
    defaults: tuple[Default, ...]


def plan(
    settings: TrainSettings,
    source: Source,
    defaults: Sequence[Default],
    init: Pretrained | None,
) -> Plan:
    """Settle model, recipe, size of the images and name of a run.

    With pretrained weights, the architecture is theirs, a token covers as many pixels as before,
    and images are at least as large as before, unless another size was asked for.

    Args:
        settings: as given.
        source: the images, which need not be loaded.
        defaults: what `recommend` returns for them.
        init: the trained model that the run begins with.

    Raises:
        EanetError: a model other than that of ``init`` was asked for, or random weights would be
            frozen.
    """
    filled = fill(settings, defaults)
    if filled.freeze != "off" and init is None:
        raise WrongArgumentError(
            f"freeze={filled.freeze}: random weights would stay random; begin with trained ones: "
            "--init, or in a comparison, trained models alone"
        )
    model, size = str(filled.model), filled.image_size or source.natural_size
    named = model
    if init is not None:
        name, own = _architecture(settings, init)
        given = parse_model_name(settings.model)[1] if settings.model else {}
        called = {k: v for k, v in own.items() if k != "patch_size" or k in given}
        named = format_model_name(name, called)  # the weights determine the size of patches
        least = init.model.config.image_size
        if settings.image_size is None and size < least:
            size = least
            larger = Default("image_size", size, f"what {init.where} was made for")
            defaults = [*(d for d in defaults if d.setting != "image_size"), larger]
        patch_size = init.model.embedding.patch_size
        if _patch_size(named, size) != patch_size:
            own["patch_size"] = patch_size
        model = format_model_name(name, own)
    run = f"{source.name}-{named.replace(':', '-').replace(',', '-')}"
    if settings.fold is not None:
        run += f"-fold-{settings.fold}"
    rates = parse_model_name(model)[1]  # take precedence over those of the recipe
    values = {
        **{name: rates[name] for name in REGULARIZATION if name in rates},
        "model": model,
        "image_size": size,
        "fit": filled.fit or "crop",
        "name": settings.name or run,
    }
    return Plan(PlannedSettings.parse(filled.model_dump() | values), tuple(defaults))


def _architecture(settings: TrainSettings, init: Pretrained) -> tuple[str, dict[str, object]]:
    """Return the name and settings of a trained model's architecture."""
    config, where = init.model.config, init.where
    own = {name: value for name, value in config.settings.items() if name not in REGULARIZATION}
    if settings.model is not None:
        name, given = parse_model_name(settings.model)
        if name != config.name or not given.items() <= all_settings(name, own).items():
            raise WrongArgumentError(
                f"{where} is {format_model_name(config.name, own)}, not {settings.model}: leave "
                "out --model or --init"
            )
    return config.name, own


def _patch_size(model: str, image_size: int) -> int:
    """Return the patch size of a named model."""
    with torch.device("meta"):  # neither memory nor random numbers
        return create_model(model, image_size=image_size).embedding.patch_size


def resolve(
    settings: PlannedSettings, dataset: Dataset, operations: float, machine: Machine, threads: int
) -> tuple[ResolvedSettings, str]:
    """Settle all other settings; a learning rate yet to be found is the default until then.

    Args:
        settings: as planned.
        dataset: the images.
        operations: floating-point operations of the whole training.
        machine: where to train.
        threads: of PyTorch.

    Returns:
        The settings, and why the run is compiled or not, in a few words.

    Raises:
        EanetError: compiling was asked for but is not possible.
    """
    images = len(dataset.train)
    compiled, why = resolve_compile(settings, operations, machine)
    rate = settings.learning_rate
    values = {
        "learning_rate": Recipe().learning_rate if rate == "find" else rate,
        "batch_size": min(settings.batch_size or default_batch_size(images), images),
        "flip": dataset.mirrorable if settings.flip is None else settings.flip,
        "device": machine.device,
        "precision": resolve_precision(settings.precision, machine),
        "compile": "on" if compiled else "off",
        "threads": threads,
    }
    return ResolvedSettings.parse(settings.model_dump() | values), why


def resolve_precision(
    precision: Literal["auto", "fp32", "bf16"], machine: Machine
) -> Literal["fp32", "bf16"]:
    """Resolve ``auto`` to what the hardware computes fastest; return any other unchanged."""
    if precision != "auto":
        return precision
    return "bf16" if machine.has_bf16 else "fp32"


def resolve_compile(
    settings: TrainSettings, operations: float, machine: Machine
) -> tuple[bool, str]:
    """Decide whether to compile, and give the reason in a few words.

    Raises:
        EanetError: compiling was asked for but is not possible.
    """
    if settings.compile == "off":
        return False, "as set"
    if not machine.has_compiler:
        if settings.compile == "on":
            raise EanetError(
                "--compile on needs Python's headers (python3-dev) and, on processors, g++ (on "
                "macOS clang++) or, on CUDA, Triton and gcc or clang: not found for "
                f"{machine.device}; use --compile off"
            )
        return False, f"no compiler or no Python.h for {machine.device}"
    if settings.compile == "on":
        return True, "as set"
    if settings.minutes is None:
        worth = operations >= WORTH_COMPILING[machine.device]
        work = f"{operations / 1e12:,.1f} TFLOP ahead"
    else:
        worth = settings.minutes >= WORTH_COMPILING_MINUTES
        work = f"{settings.minutes:g} minutes ahead"
    return worth, f"{work}, {'enough' if worth else 'too little'} to pay for a minute of compiling"
