"""The examples in the docstrings of public names run as they stand."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import eanet
from tests.support.pictures import blank_pictures
from tests.support.processes import result_of

# `train` makes the run that the others begin with; `compare` trains a second one.
ORDER = ("train", "resume", *sorted(set(eanet.__all__) - {"train", "resume"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder of all examples."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch, blank_pictures():
        patch.chdir(folder)
        for module in ("models", "tokens"):  # in processes that have PyTorch already
            patch.setattr(f"eanet.benchmarking.{module}.in_own_process", result_of)
        yield folder


@pytest.mark.parametrize("name", ORDER)
def test_the_example_of_a_public_name_runs(name: str, folder: Path) -> None:
    parser = doctest.DocTestParser()
    text = inspect.getdoc(getattr(eanet, name)) or ""
    test = parser.get_doctest(text, {"eanet": eanet}, name, None, 0)
    assert test.examples, f"{name} has no example"
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)
