"""Threads that compute on one core each, whatever PyTorch does elsewhere in the process."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock, Thread
from typing import TypeVar

import torch

from eanet.threads import are_cores_free

T = TypeVar("T")
_LOCK = Lock()


def compute(function: Callable[[], T]) -> T:
    """Call a short computation: with all of PyTorch's threads, or on one core if others are busy.

    A thread that shares its core with another program would make all others wait for it.
    """
    if are_cores_free(torch.get_num_threads()):
        return function()
    return _one_core().submit(function).result()


@cache
def _one_core() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "eanet-one-core", initializer=use_one_core)


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_one_core.cache_clear)


def use_one_core() -> None:
    """Make PyTorch compute on one core in the calling thread, and in no other.

    `torch.set_num_threads` sets the number of cores of this thread in OpenMP and MKL, but also the
    number for every thread that has not computed yet. OpenMP and MKL are therefore called directly.
    Where they cannot be, as on Windows, a thread for that alone sets the other number back at once.
    """
    with _LOCK:  # so that no call takes another's number for that of the process
        cores = torch.get_num_threads()  # the first call in a thread sets its number
        if cores == 1:
            return
        linked = ctypes.CDLL(torch._C.__file__)  # finds the functions of linked libraries as well
        try:
            linked.omp_set_num_threads(1)
        except AttributeError:
            torch.set_num_threads(1)
            undo = Thread(target=torch.set_num_threads, args=(cores,))
            undo.start()
            undo.join()
        else:
            if hasattr(linked, "MKL_Set_Num_Threads_Local"):
                linked.MKL_Set_Num_Threads_Local(1)
