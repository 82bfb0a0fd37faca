"""Weight files as spender publishes them: archives of tensors, never of code."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import ErrorKind, InputError

LARGEST = 2**29
"""Bytes of a file, unpacked. The largest that spender publishes has some 60 MB."""

_RELEASED = "spender's weights, e.g. those at huggingface.co/pmelchior/spender"


@dataclass(frozen=True, eq=False)
class SpenderFile:
    """One file of tensors.

    Attributes
    ----------
    path : the file; sha256 : hex digest of its bytes.
    tensors : by their names in spender's modules.
    """

    path: Path
    sha256: str
    tensors: Mapping[str, Tensor]


def read_spender_file(path: Path) -> SpenderFile:
    """Read the tensors of a file, on the CPU. Nothing in the file is executed.

    Raises
    ------
    InputError : no such file, not an archive of tensors, too large, or it holds objects that only code
        could make.
    """
    if not path.is_file():
        raise InputError(
            "There is no such file of weights.",
            where=str(path),
            allowed=_RELEASED,
            remedy="Correct the path, or download the file first.",
            kind=ErrorKind.SPENDER_FILE,
        )
    _check_size(path, path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(path, sum(entry.file_size for entry in archive.infolist()))
            damaged = archive.testzip()
        if damaged is not None:
            raise _damaged(path, f"a wrong checksum of {damaged}")
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _holds_code(path, (str(error).splitlines() or [""])[0]) from error
    except zipfile.BadZipFile as error:
        raise _holds_code(path, "not an archive as torch.save writes it; maybe a bare pickle") from error
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, AttributeError, TypeError) as error:
        text = str(error).splitlines()
        raise _damaged(path, f"{type(error).__name__}: {text[0] if text else 'no text'}") from error
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return SpenderFile(path, sha256, _tensors(path, content))


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    """The state dict in what was loaded: itself, or the entry ``model``, which may be a list's first."""
    if isinstance(content, Mapping) and "model" in content:
        content = content["model"]
    if isinstance(content, list | tuple) and content:
        content = content[0]
    if not isinstance(content, Mapping) or not content:
        raise _no_tensors(path, f"a {type(content).__name__}")
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise _no_tensors(path, f"{name!r}: a {type(value).__name__}")
        # A tensor may pretend to be larger than what is stored of it, by strides of 0.
        _check_size(path, value.numel() * value.element_size())
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(
                "A file of weights holds numbers that are not finite.",
                where=f"{path}, {name}",
                got=f"{int((~torch.isfinite(value)).sum())} of {value.numel()}",
                allowed="finite numbers",
                remedy="Download it anew; if it is your own, that training failed.",
                kind=ErrorKind.SPENDER_DAMAGED,
            )
        tensors[name] = value.detach()
    return tensors


def _check_size(path: Path, size: int) -> None:
    if size > LARGEST:
        raise InputError(
            "The file of weights is too large to be spender's.",
            where=str(path),
            got=f"{size / 2**20:,.0f} MiB",
            allowed=f"at most {LARGEST / 2**20:,.0f} MiB",
            remedy="Name the files of weights, not data.",
            kind=ErrorKind.SPENDER_SIZE,
        )


def _damaged(path: Path, got: str) -> InputError:
    return InputError(
        "The file of weights is damaged.",
        where=str(path),
        got=got,
        allowed=_RELEASED,
        remedy="Download it anew, and compare its size.",
        kind=ErrorKind.SPENDER_DAMAGED,
    )


def _holds_code(path: Path, got: str) -> InputError:
    return InputError(
        "The file is not plain weights: loading it would run code that is in it.",
        where=str(path),
        got=got,
        allowed=_RELEASED,
        remedy="Take a file that holds a state dict. If you trust this one: load it where spender is "
        "installed, write torch.save(model.state_dict(), FILE), and import that.",
        kind=ErrorKind.SPENDER_PICKLE,
    )


def _no_tensors(path: Path, got: str) -> InputError:
    return InputError(
        "The file holds something else than a state dict of tensors.",
        where=str(path),
        got=got,
        allowed=_RELEASED,
        remedy="Write torch.save(model.state_dict(), FILE) where the model was made, and import that.",
        kind=ErrorKind.SPENDER_CONTENT,
    )
