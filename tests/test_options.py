"""The typed keywords of functions are the fields of the models that check them."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest

import eanet
from eanet import api, options
from eanet.benchmarking.settings import BenchmarkSettings
from eanet.comparison.settings import PER_RUN
from eanet.config import DataSettings, MachineSettings, TrainSettings
from eanet.deploy.server.settings import AppSettings, ServeSettings

FOLDS = ("folds", "fold")
RESUME = ("data", "epochs", *MachineSettings.model_fields)
CASES = {
    "MachineOptions": (MachineSettings, ()),
    "ImageOptions": (DataSettings, FOLDS),
    "DataOptions": (DataSettings, ()),
    "CommonOptions": (TrainSettings, ("data", *PER_RUN, *FOLDS)),
    "SharedOptions": (TrainSettings, ("data", *PER_RUN)),
    "FoldOptions": (TrainSettings, ("data", *FOLDS)),
    "TrainOptions": (TrainSettings, ("data",)),
    "ResumeOptions": (TrainSettings, tuple(TrainSettings.model_fields.keys() - set(RESUME))),
    "BenchmarkOptions": (BenchmarkSettings, ()),
    "AppOptions": (AppSettings, ()),
    "ServeOptions": (ServeSettings, ()),
}
# Other than in the model: "unset" has a meaning of its own, or more can be given.
OTHER = {
    ("ResumeOptions", "data"): {str, Path, type(None)},
    ("ResumeOptions", "epochs"): {int, type(None)},
} | {
    (name, field): {str, os.PathLike[str], type(None)}  # also what `train` returns
    for name in ("CommonOptions", "SharedOptions", "FoldOptions", "TrainOptions")
    for field in ("init", "teacher")
}


def alternatives(kind: Any, *, widen: bool) -> set[Any]:
    """The types that a value may have, without limits; where a path may be, also text."""
    if get_origin(kind) is Annotated:
        return alternatives(get_args(kind)[0], widen=widen)
    if get_origin(kind) in (Union, type(int | str)):
        return set().union(*(alternatives(part, widen=widen) for part in get_args(kind)))
    return {kind, str} if widen and kind is Path else {kind}


@pytest.mark.parametrize("name", CASES)
def test_keywords_and_settings_have_the_same_names_and_types(name: str) -> None:
    model, left_out = CASES[name]
    hints = get_type_hints(getattr(options, name))
    fields = {n: f for n, f in model.model_fields.items() if n not in left_out}
    assert hints.keys() == fields.keys()
    for field in fields:
        annotation = get_type_hints(model, include_extras=True)[field]
        expected = OTHER.get((name, field), alternatives(annotation, widen=True))
        assert alternatives(hints[field], widen=False) == expected, field


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (eanet.train, "TrainOptions"),
        (eanet.resume, "ResumeOptions"),
        (eanet.compare, "SharedOptions"),
        (eanet.cross_validate, "FoldOptions"),
        (eanet.load_dataset, "DataOptions"),
        (eanet.benchmark, "BenchmarkOptions"),
        (eanet.benchmark_tokens, "BenchmarkOptions"),
        (eanet.serve, "ServeOptions"),
        (eanet.create_app, "AppOptions"),
    ],
)
def test_functions_take_them(function: Any, name: str) -> None:
    settings = inspect.signature(function).parameters["settings"]
    assert settings.annotation == f"Unpack[{name}]"


def test_every_option_has_its_case() -> None:
    declared = {name for name in vars(options) if name.endswith("Options")}
    assert declared == CASES.keys()
    assert set(RESUME) == set(api.RESUME_SETTINGS)
