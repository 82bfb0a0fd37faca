"""Timing on a shared machine: everything in turn, several times, and the minimum counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import torch

from flows.bench.devices import synchronise
from flows.bench.memory import PeakMemory


@dataclass(frozen=True)
class Timing:
    """Several runs of the same work.

    Attributes
    ----------
    seconds : of each run, after one that is not counted.
    peak_bytes : peak memory of the uncounted run above what was in use before; None if unknown.
    """

    seconds: tuple[float, ...]
    peak_bytes: int | None

    @property
    def minimum(self) -> float:
        """Seconds of the quickest run."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of the median run."""
        return median(self.seconds)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that ``work`` takes, until the device is idle again."""
    synchronise(device)
    start = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - start


def quickest(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Seconds of the quickest of ``repeats`` runs, after one that is not counted."""
    work()
    return min(seconds_of(work, device) for _ in range(repeats))


def time_in_turn(
    works: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    progress: Callable[[str], None],
) -> dict[str, Timing]:
    """Time several pieces of work in turn, so that a slow minute of the machine slows all of them."""
    peaks: dict[str, int | None] = {}
    for name, work in works.items():
        progress(f"{name}: memory")
        with PeakMemory(device) as memory:
            seconds_of(work, device)
        peaks[name] = memory.bytes
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats):
        for name, work in works.items():
            progress(f"{name}: run {repeat + 1} of {repeats}")
            seconds[name].append(seconds_of(work, device))
    return {name: Timing(tuple(runs), peaks[name]) for name, runs in seconds.items()}


_T = TypeVar("_T")


def work_seconds(work: Callable[[], _T]) -> tuple[_T, float, float]:
    """What work gives, the seconds that it takes, and CPU seconds of all threads."""
    begun, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - begun, time.process_time() - cpu
