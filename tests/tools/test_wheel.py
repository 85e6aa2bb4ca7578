"""What is installed: the package and the weights that ship with it, and nothing else."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

import eanet
from tests.conftest import REPOSITORY

wheels = pytest.importorskip("tools.wheel", reason="hatchling is not installed")


def test_the_wheel_holds_the_package_whole_and_nothing_else(tmp_path: Path) -> None:
    wheel = wheels.build(tmp_path)
    assert wheel.name == f"eanet-{eanet.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < wheels.MOST_BYTES
    source = REPOSITORY / "src"
    package = {
        str(file.relative_to(source))
        for file in (source / "eanet").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    about = f"eanet-{eanet.__version__}.dist-info"
    names = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert wheels.contents(wheel) == package | {f"{about}/{name}" for name in names}
    assert {path.suffix for path in map(Path, package)} >= {".safetensors", ".cpp", ".yaml"}
    with zipfile.ZipFile(wheel) as archive:
        assert b"eanet = eanet.__main__:main" in archive.read(f"{about}/entry_points.txt")


def test_the_source_archive_holds_what_make_and_the_tests_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hatchling.build import build_sdist

    monkeypatch.chdir(REPOSITORY)
    with tarfile.open(tmp_path / build_sdist(str(tmp_path))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "constraints.txt", "mkdocs.yml", "pyproject.toml"}
    needed |= {
        str(file.relative_to(REPOSITORY))
        for folder in ("benchmarks", "docs", "examples", "src", "tests", "tools")
        for file in (REPOSITORY / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert not needed - held
    assert "docs/examples/photographs.ipynb" in held  # of mkdocs.yml
