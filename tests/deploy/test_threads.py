from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from eanet.deploy.threads import compute, use_one_core
from eanet.threads import FreeThreads

T = TypeVar("T")


@pytest.fixture(autouse=True)
def three_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def in_new_thread(function: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function).result()


def cores_after_use_one_core() -> int:
    use_one_core()
    return torch.get_num_threads()


def test_a_thread_has_one_core_and_others_keep_theirs() -> None:
    assert in_new_thread(cores_after_use_one_core) == 1
    assert torch.get_num_threads() == 3
    assert in_new_thread(torch.get_num_threads) == 3


def test_the_number_for_new_threads_is_set_back_where_the_libraries_cannot_be_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(cores_after_use_one_core) for _ in range(100)]:
            assert future.result() == 1
    assert torch.get_num_threads() == 3
    assert in_new_thread(torch.get_num_threads) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads of the process in /proc")
def test_neither_openmp_nor_mkl_starts_threads_for_it() -> None:
    a, images = torch.ones(512, 512), torch.ones(8, 16, 32, 32)
    weight = torch.ones(16, 16, 3, 3)

    def started() -> int:
        before = len(list(Path("/proc/self/task").iterdir()))
        a.exp(), a @ a, torch.bmm(images[0], images[1])
        torch.nn.functional.conv2d(images, weight)
        return len(list(Path("/proc/self/task").iterdir())) - before

    def started_after_use_one_core() -> int:
        use_one_core()
        return started()

    assert in_new_thread(started_after_use_one_core) == 0
    assert in_new_thread(started) > 0 or os.cpu_count() == 1


@pytest.mark.parametrize(("free", "cores"), [(3, 3), (8, 3), (2, 1), (1, 1)])
def test_a_short_computation_takes_one_core_if_others_are_busy(
    free: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FreeThreads, "count", lambda _: free)
    assert compute(torch.get_num_threads) == cores
    assert torch.get_num_threads() == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FreeThreads, "count", lambda _: 1)
    assert compute(lambda: 5) == 5
    child = os.fork()
    if not child:
        os._exit(compute(lambda: 7))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
