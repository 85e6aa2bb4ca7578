"""The memory that a process may still take."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from eanet import memory
from eanet.memory import available_memory

MIB = 2**20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made folder of control groups, on a machine with 8,192 MiB free."""
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "PROCESS", tmp_path / "process")
    free = SimpleNamespace(available=8192 * MIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    return tmp_path


def write(folder: Path, **values: object) -> None:
    """Write files named memory.NAME."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / f"memory.{name}").write_text(f"{value}\n")


def test_without_a_container_it_is_what_the_machine_has_left(groups: Path) -> None:
    assert available_memory() == 8192 * MIB
    (groups / "process").write_text("0::/\n")
    assert available_memory() == 8192 * MIB


def test_a_limit_of_version_2_counts_without_the_cache_of_files(groups: Path) -> None:
    (groups / "process").write_text("0::/\n")
    write(groups, max=1024 * MIB, current=900 * MIB, stat=f"anon 1\ninactive_file {300 * MIB}")
    assert available_memory() == 424 * MIB


def test_a_limit_of_version_1_counts_likewise(groups: Path) -> None:
    (groups / "process").write_text("4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n")
    own = groups / "memory"
    write(
        own,
        limit_in_bytes=2048 * MIB,
        usage_in_bytes=1024 * MIB,
        stat=f"total_inactive_file {24 * MIB}",
    )
    assert available_memory() == 1048 * MIB


def test_the_narrowest_of_nested_limits_counts(groups: Path) -> None:
    (groups / "process").write_text("0::/user/job\n")
    write(groups / "user", max=512 * MIB, current=500 * MIB, stat="inactive_file 0")
    write(groups / "user/job", max="max", current=100 * MIB, stat="inactive_file 0")
    assert available_memory() == 12 * MIB


def test_a_limit_that_is_used_up_leaves_nothing(groups: Path) -> None:
    (groups / "process").write_text("0::/\n")
    write(groups, max=10 * MIB, current=11 * MIB, stat="inactive_file 0")
    assert available_memory() == 0
