"""Results as data: a pandas DataFrame, or where there is no pandas, a dictionary of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def as_table(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return columns of equal length as a DataFrame if pandas is installed, else as they are."""
    if find_spec("pandas") is None:
        return {name: list(values) for name, values in columns.items()}
    return import_module("pandas").DataFrame(dict(columns))


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return rows as columns, with None where a row has no value."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
