"""Peak memory of a piece of work."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from pathlib import Path
from types import TracebackType

import torch

_INTERVAL = 0.001
_STATM = Path("/proc/self/statm")


class PeakMemory:
    """Peak memory of a ``with`` block above what was in use at its start.

    On the CPU it is the process's resident memory, looked at every millisecond by a thread, so a peak
    shorter than that can be missed; memory that the allocator kept from earlier work is returned to
    the system first. On an accelerator it is what torch allocated there, exactly.

    Attributes
    ----------
    bytes : the peak after the block; None where the system does not tell.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._module = torch.get_device_module(device)
        self._counted = hasattr(self._module, "max_memory_allocated")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._before = self._peak = 0
        self.bytes: int | None = None

    def __enter__(self) -> PeakMemory:
        _return_unused()
        if self._counted:
            self._module.reset_peak_memory_stats(self._device)
            self._before = int(self._module.memory_allocated(self._device))
        elif _STATM.exists():
            self._before = self._peak = _resident()
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._counted:
            self.bytes = int(self._module.max_memory_allocated(self._device)) - self._before
        elif self._thread.is_alive():
            self._done.set()
            self._thread.join()
            self.bytes = max(self._peak, _resident()) - self._before

    def _watch(self) -> None:
        while not self._done.wait(_INTERVAL):
            self._peak = max(self._peak, _resident())


def _resident() -> int:
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _return_unused() -> None:
    """Give free memory back to the system, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
