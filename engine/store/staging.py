"""Staging: selected spectra as they were scored, until they are explained.

safetensors objects: a JSON header of names, types and shapes, then plain numbers. Reading one runs
no code.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load, save

from engine.spectra.scored_spectra import SelectedSpectra
from models.errors import ErrorKind, StoreError

_DTYPES = {
    "row": np.int64,
    "redshift": np.float64,
    "flux": np.float32,
    "ivar": np.float32,
    "model": np.int8,
}

_SPECTRA = ("flux", "ivar")


def staging_path(block: int) -> str:
    """Path of the staging object of a score block."""
    return f"staging/{block:08d}.safetensors"


def staged_bytes(selected: SelectedSpectra) -> bytes:
    """The selected spectra of one score block as one object."""
    return bytes(
        save({name: np.ascontiguousarray(getattr(selected, name), dtype) for name, dtype in _DTYPES.items()})
    )


def unstaged(data: bytes, where: str, pixels: int) -> SelectedSpectra:
    """What :func:`staged_bytes` was given: spectra of so many pixels.

    Raises
    ------
    StoreError : the object is damaged.
    """
    try:
        arrays = load(data)
        if any(arrays[name].dtype != dtype for name, dtype in _DTYPES.items()):
            raise ValueError({name: str(array.dtype) for name, array in arrays.items()})
        count = len(arrays["row"])
        if any(arrays[name].shape != (count, pixels)[: 1 + (name in _SPECTRA)] for name in _DTYPES):
            raise ValueError({name: array.shape for name, array in arrays.items()})
        return SelectedSpectra(**{name: arrays[name] for name in _DTYPES})
    except Exception as error:  # safetensors raises its own type, which derives from Exception
        raise StoreError(
            "A staging object is damaged.",
            where=where,
            got=f"{type(error).__name__}: {error}",
            allowed=f"{', '.join(_DTYPES)} as safetensors",
            remedy="Delete this object and the ledger entry of its score block, then run again.",
            kind=ErrorKind.STAGING_DAMAGED,
        ) from error
