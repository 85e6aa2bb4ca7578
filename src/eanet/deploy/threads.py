"""Threads that compute on one core each, whatever PyTorch does elsewhere in the process."""

from __future__ import annotations

import ctypes
from threading import Lock, Thread

import torch

_LOCK = Lock()


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
