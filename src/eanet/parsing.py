"""Names as callers give them; YAML and JSON of strangers: read within bounds, or refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from eanet.errors import EanetError, WrongArgumentError, one_line

MOST_DEPTH = 20
MOST_NODES = 100_000  # more than any run has classes
MOST_SCALAR = 10_000  # characters; sexagesimal numbers of more would take minutes

# libyaml, where PyYAML was built with it: it takes a twentieth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

M = TypeVar("M", bound=BaseModel)


def parse_names(names: Iterable[Any], what: str) -> list[str]:
    """Return names that were given one by one, as one list, or both, each once.

    Args:
        names: names and paths, and iterables of them.
        what: what they are of, such as "a model".

    Raises:
        EanetError: there is something else among them.
    """
    found: dict[str, None] = {}
    for name in names:
        if isinstance(name, str | os.PathLike):
            found[os.fspath(name)] = None
        elif isinstance(name, Iterable) and not isinstance(name, bytes):
            found |= dict.fromkeys(parse_names(name, what))
        else:
            raise WrongArgumentError(f"{what} is given by its name, not by {type(name).__name__}")
    return list(found)


def run_name(run: Any) -> str:
    """Return the path or name by which a run or model is given, or that a result stands for.

    Raises:
        EanetError: it is something else, such as a network in memory.
    """
    if isinstance(run, str | os.PathLike):
        return os.fspath(run)
    raise WrongArgumentError(
        f"a run or model is given by its path or name, not by {type(run).__name__}; "
        "eanet.save_model(model, FOLDER) gives a network a path, and eanet.Predictor(model) "
        "classifies with it as it is"
    )


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse a YAML mapping of plain values.

    Raises:
        EanetError: it is something else, refers to parts of itself, by which a few lines can become
            gigabytes, or is too deep or too large.
    """
    try:
        # libyaml refuses what stands for a byte that is not UTF-8, as paths may hold.
        loader = yaml.SafeLoader if "\\uDC" in text else LOADER
        _check_yaml(text, where, loader)
        values = yaml.load(text, Loader=loader) or {}
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise EanetError(f"{where} is not YAML: {one_line(error)}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise EanetError(f"{where} must hold lines of the form `name: value`")
    return values


def _check_yaml(text: str, where: str, loader: Any) -> None:
    """Raise an `EanetError` before anything is built of a text that would take too much."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise EanetError(f"{where}: references (& and *) are not read; write the values out")
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        long = isinstance(event, yaml.ScalarEvent) and len(event.value) > MOST_SCALAR
        if depth > MOST_DEPTH or nodes > MOST_NODES or long:
            raise EanetError(f"{where} is refused: no file of settings is so deep or so large")


def parse_json(text: str | bytes, where: str) -> Any:
    """Parse JSON.

    Raises:
        EanetError: it is something else, or too deep.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EanetError(f"{where} is not JSON: {one_line(error)}") from error


def checked(kind: type[M], content: Any, where: str) -> M:
    """Return the content of a file as the record that it should be.

    Raises:
        EanetError: it has other types; one line names the file and the first wrong value.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise EanetError(f"{where} has been changed or damaged: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Describe the first wrong value in a few words, such as ``data.images: field required``."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg'].lower()}" if place else first["msg"].lower()
