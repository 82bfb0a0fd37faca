"""Devices to measure on, and a description of the machine."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from models.errors import ConfigurationError, ErrorKind


@dataclass(frozen=True)
class Machine:
    """Where the numbers come from.

    Attributes
    ----------
    processor : model name of the CPU.
    cores : CPUs that this process may use.
    threads : torch threads that were used.
    device : as torch names it; device_name : its model, the CPU's for ``cpu``.
    torch_version, python_version, system : versions.
    load_before, load_after : runnable processes of the machine, averaged over a minute, before and
        after the measurements; None where the system does not say. Above ``threads`` at the end,
        others had a share of the cores.
    """

    processor: str
    cores: int
    threads: int
    device: str
    device_name: str
    torch_version: str
    python_version: str
    system: str
    load_before: float | None
    load_after: float | None


def usable_device(name: str) -> torch.device:
    """The torch device of that name, float64 included.

    Raises
    ------
    ConfigurationError : there is no such device here, or it has no float64.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device, dtype=torch.float64)
        synchronise(device)
    except (RuntimeError, TypeError, AssertionError, AttributeError) as error:
        raise ConfigurationError(
            "The benchmark cannot run on this device.",
            where="--device",
            got=f"{name} ({str(error).splitlines()[0]})",
            allowed="cpu, or an accelerator that torch sees here and that has float64, e.g. cuda",
            remedy="Use --device cpu, or install the torch that is made for the accelerator.",
            kind=ErrorKind.BENCH_DEVICE,
        ) from error
    return device


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    torch.get_device_module(device).synchronize()


def describe_machine(device: torch.device, load_before: float | None) -> Machine:
    """The machine as it is now."""
    module = torch.get_device_module(device)
    processor = _processor()
    named = hasattr(module, "get_device_name")
    affinity = hasattr(os, "sched_getaffinity")
    return Machine(
        processor=processor,
        cores=len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        device=str(device),
        device_name=str(module.get_device_name(device)) if named else processor,
        torch_version=torch.__version__,
        python_version=platform.python_version(),
        system=platform.platform(),
        load_before=load_before,
        load_after=load_average(),
    )


def load_average() -> float | None:
    """Runnable processes of the machine, averaged over the last minute; None if unknown."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
