"""Memory: what the attribution of one spectrum may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import ConfigurationError, ErrorKind

if TYPE_CHECKING:
    import torch

WHERE = "memory for attribution (--memory, WHYSPEC_ATTRIBUTION_MEMORY)"
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


def check_held(memory_bytes: int, numbers: int, what: str) -> None:
    """Refuse so many numbers, which a method holds at once beside its batches, before they are made.

    Raises
    ------
    ConfigurationError : the memory does not hold them in double precision.
    """
    needed = 8 * numbers
    if memory_bytes < needed:
        raise ConfigurationError(
            "The memory allowed for attribution does not hold what the method draws.",
            where=WHERE,
            got=f"{memory_bytes} bytes",
            allowed=f"at least {needed} bytes for {what}",
            remedy="Raise it, or draw less: see the settings of the method.",
            kind=ErrorKind.OCCLUSION_MEMORY,
        )


def spectra_at_once(memory_bytes: int, floats_per_pixel: int, pixels: int, number_bytes: int = 8) -> int:
    """How many spectra of so many pixels a batch may hold, at least one.

    Parameters
    ----------
    memory_bytes : what a batch may take, the model's own activations included.
    floats_per_pixel : numbers held at once for each pixel of each spectrum; number_bytes : of each.

    Raises
    ------
    ConfigurationError : not even one fits.
    """
    each = number_bytes * floats_per_pixel * pixels
    if memory_bytes < each:
        raise ConfigurationError(
            "The memory allowed for attribution does not hold a single spectrum.",
            where=WHERE,
            got=f"{memory_bytes} bytes",
            allowed=f"at least {each} bytes ({pixels} pixels x {floats_per_pixel} numbers x "
            f"{number_bytes} bytes)",
            remedy="Raise it; 256 MB suit a processor, some GB an accelerator.",
            kind=ErrorKind.OCCLUSION_MEMORY,
        )
    return memory_bytes // each
