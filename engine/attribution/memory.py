"""Memory: what the attribution of one spectrum may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DEFAULT_MEMORY = 2**28
"""Bytes on a processor, where more is no faster."""


def memory_for(device: torch.device, given: int = 0) -> int:
    """``given`` bytes or, if 0, what suits the device: an accelerator is shared with nothing else."""
    if given:
        return given
    if device.type != "cuda":
        return DEFAULT_MEMORY
    import torch

    return torch.cuda.mem_get_info(device)[0] // 2
