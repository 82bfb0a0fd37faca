"""Worker processes: the same work in several at the same time, as in a run."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


def in_processes(work: Callable[[_Given], _Found], given: Sequence[_Given]) -> list[_Found]:
    """``work`` on each of ``given``, each in a fresh process with one thread, all at once.

    ``work`` must be a module's own function, since processes find it by its name.
    """
    # Fresh processes: a fork would inherit the threads of torch and of whatever else runs here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(given), mp_context=context, initializer=_one_thread) as pool:
        return list(pool.map(work, given))


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
