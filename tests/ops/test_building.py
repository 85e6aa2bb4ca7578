"""The kernels are built where work begins, and only a library of our own making is loaded."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import eanet
from eanet import EanetError, ExternalAttention, build_kernels, private_files
from eanet.ops import kernels
from eanet.ops.random_bytes import random_bytes
from eanet.private_files import private_folder

needs_compiler = pytest.mark.skipif(kernels.find_compiler() is None, reason="no C++ compiler here")
SEED = torch.tensor(2**61 + 5)


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for kernels, with nothing loaded yet; notices are shown anew."""
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernels, "_library", None)
    monkeypatch.setattr(kernels, "_failure", None)
    kernels.notice_once.cache_clear()
    return tmp_path / "kernels"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library as it was built."""
    folder = private_folder(tmp_path_factory.mktemp("built") / "kernels")
    compiler = kernels.find_compiler()
    assert compiler is not None
    kernels._build(compiler, folder / kernels._name(compiler))
    return folder


@pytest.fixture
def kept(unbuilt: Path, built: Path) -> Path:
    """A library that an earlier process has built."""
    private_folder(unbuilt)
    for file in built.iterdir():
        shutil.copy(file, unbuilt)
    (library,) = unbuilt.glob("*.so")
    return library


@pytest.fixture
def compilations(built: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the compiler is called with from now on; it gives at once what it gave before."""
    calls: list[list[str]] = []
    (library,) = built.glob("*.so")

    def compile_at_once(command, **_):
        calls.append(command)
        shutil.copy(library, command[-1])

    monkeypatch.setattr(kernels.subprocess, "run", compile_at_once)
    return calls


@needs_compiler
def test_only_building_builds(unbuilt, compilations):
    ExternalAttention(16, 4, 8, dropout=0.1)(torch.randn(2, 9, 16)).sum().backward()
    assert kernels.library() is None
    assert not unbuilt.exists()
    assert kernels.status().startswith("built by ")
    assert not unbuilt.exists()
    assert build_kernels()
    assert kernels.library() is not None
    assert kernels.status() == "in use"
    assert len(compilations) == 1
    library, digest = sorted(unbuilt.iterdir())
    assert unbuilt.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (library, digest)} == {0o600}
    assert hashlib.sha256(library.read_bytes()).hexdigest() == digest.read_text()


@needs_compiler
def test_they_are_built_once(kept, compilations):
    assert kernels.status() == "built; in use once work begins"
    assert build_kernels()
    assert build_kernels()
    assert not compilations


@needs_compiler
@pytest.mark.usefixtures("compilations")
def test_processes_that_build_at_the_same_time_are_in_nobodys_way(unbuilt, monkeypatch):
    build, others = kernels.subprocess.run, []

    def build_with_company(*args, **kwargs):
        built = build(*args, **kwargs)
        if not others:
            others.append(None)
            others.append(kernels._load_or_build())
        return built

    monkeypatch.setattr(kernels.subprocess, "run", build_with_company)
    assert build_kernels()
    assert isinstance(others[1], ctypes.CDLL)
    assert len(list(unbuilt.iterdir())) == 2


def planted(library: Path) -> None:
    """Replace a library by another, with the SHA-256 that fits."""
    library.write_bytes(b"not ours")
    private_files._digest(library).write_text(hashlib.sha256(b"not ours").hexdigest())


def other_bytes(library: Path) -> None:
    library.write_bytes(library.read_bytes() + b"and more")


def no_digest(library: Path) -> None:
    private_files._digest(library).unlink()


def empty(library: Path) -> None:
    library.write_bytes(b"")


def writable(library: Path) -> None:
    planted(library)
    library.chmod(0o660)


def writable_digest(library: Path) -> None:
    planted(library)
    private_files._digest(library).chmod(0o606)


def link(library: Path) -> None:
    planted(library)
    library.rename(library.parent.parent / "elsewhere")
    library.symlink_to(library.parent.parent / "elsewhere")


def other_owner(library: Path) -> None:
    planted(library)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(library, 65534, 65534)


@needs_compiler
@pytest.mark.parametrize(
    "change",
    [other_bytes, no_digest, empty, writable, writable_digest, link, other_owner],
)
def test_a_library_that_is_not_as_we_built_it_is_built_anew(change, kept, compilations):
    expected = kept.read_bytes()
    change(kept)
    assert kernels.status().startswith("built by ")
    assert build_kernels()
    assert len(compilations) == 1
    assert kept.read_bytes() == expected
    assert not kept.is_symlink()
    assert random_bytes(SEED, 5).shape == (5,)


def can_be_entered(folder: Path) -> None:
    folder.chmod(0o757)


def group_can_write(folder: Path) -> None:
    folder.chmod(0o770)


def parent_can_be_written(folder: Path) -> None:
    folder.parent.chmod(0o777)


def linked(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def of_another(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 65534, 65534)


def file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("in the way")


@needs_compiler
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (can_be_entered, "kernels can be written by others; chmod go-w "),
        (group_can_write, "kernels can be written by others; chmod go-w "),
        (parent_can_be_written, "can be written by others; chmod go-w "),
        (linked, "is not a folder; remove it"),
        (of_another, "belongs to another user; set EANET_CACHE_DIR to another"),
        (file, "is not a folder; remove it"),
    ],
)
def test_nothing_is_loaded_from_a_folder_that_others_can_write_to(
    change, why, kept, compilations, capsys
):
    change(kept.parent)
    assert not build_kernels()
    assert not build_kernels()
    assert not compilations
    said = capsys.readouterr().err
    assert said.startswith("compiled kernels are not used, which takes longer: ")
    assert why in said
    assert said.count("\n") == 1
    assert kernels.status().startswith("not in use: ")
    assert why in kernels.status()
    assert random_bytes(SEED, 5).shape == (5,)


def test_a_sticky_folder_and_the_users_own_group_above_are_safe(tmp_path, monkeypatch):
    above = tmp_path / "cache"
    above.mkdir()
    above.chmod(0o1777)
    assert private_folder(above / "ours") == above / "ours"
    above.chmod(0o775)
    monkeypatch.setattr(os, "geteuid", lambda: above.stat().st_gid)
    if above.stat().st_uid == above.stat().st_gid:
        private_folder(above / "ours")
    above.chmod(0o777)
    with pytest.raises(EanetError, match="can be written by others"):
        private_folder(above / "ours")


def test_a_folder_that_others_can_read_is_closed(tmp_path):
    (tmp_path / "ours").mkdir(mode=0o755)
    private_folder(tmp_path / "ours")
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o700


@needs_compiler
def test_what_was_built_is_used_from_a_disk_that_is_read_only_now(kept, compilations, monkeypatch):
    def refuse(path, mode):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    assert build_kernels()
    assert not compilations


@pytest.mark.parametrize(
    ("compiler", "why"),
    [
        (None, "no C++ compiler here (g++ or clang++, or what CXX names)"),
        ("false", "false: exit code 1"),
        ("/no/such/compiler", "/no/such/compiler: No such file or directory"),
    ],
)
def test_a_compiler_that_is_missing_or_fails_costs_nothing_but_speed(
    unbuilt, compiler, why, monkeypatch, capsys
):
    monkeypatch.setattr(kernels, "find_compiler", lambda: compiler)
    assert not build_kernels()
    assert capsys.readouterr().err == (
        f"compiled kernels are not used, which takes longer: {why}\n"
    )
    assert kernels.status() == f"not in use: {why}"
    assert random_bytes(SEED, 5).shape == (5,)
    assert not list(unbuilt.glob("*"))


@needs_compiler
def test_the_first_error_of_the_compiler_is_shown(unbuilt, monkeypatch, tmp_path):
    source = tmp_path / "kernels.cpp"
    source.write_text("int main() { return undeclared; }\n")
    monkeypatch.setattr(kernels, "SOURCE", source)
    assert not build_kernels()
    assert "undeclared" in kernels.status()
    assert "\n" not in kernels.status()


@needs_compiler
def test_a_cache_that_cannot_be_used_is_told_with_the_version(unbuilt, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setattr("eanet.files.TemporaryFile", lambda dir: refuse(dir))  # noqa: A006
    assert kernels.status() == f"not in use: cannot write to {unbuilt}: Permission denied"


def test_they_can_be_switched_off(unbuilt, monkeypatch, capsys):
    monkeypatch.setenv("EANET_KERNELS", "off")
    assert not build_kernels()
    assert kernels.status() == "not in use: EANET_KERNELS=off"
    assert capsys.readouterr().err == ""
    assert not unbuilt.exists()
    monkeypatch.setenv("EANET_KERNELS", "of")
    with pytest.raises(EanetError, match="unknown EANET_KERNELS 'of'; did you mean 'off'"):
        build_kernels()
    assert kernels.status().startswith("not in use: unknown EANET_KERNELS")


def test_the_status_is_told_without_pytorch():
    code = (
        "import sys; from eanet.ops import kernels; kernels.status(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("cpu", ["Features\t: fp asimd", "CPU part\t: 0xd40", "flags\t: sse"])
def test_machines_that_share_a_cache_are_told_apart_by_their_processors(cpu, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "CPUINFO", tmp_path / "cpuinfo")
    kernels.CPUINFO.write_text(f"processor\t: 0\n{cpu}\n")
    one = kernels._processor()
    kernels.CPUINFO.write_text(f"processor\t: 0\n{cpu} and more\n")
    assert kernels._processor() != one


def test_it_is_a_public_function():
    assert eanet.build_kernels is build_kernels
    assert "build_kernels" in dir(eanet)
