"""Exported: what an export wrote, and what of the selection it could not write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Called with the spectra that are written, and with all that will be."""


@dataclass(frozen=True)
class LeftOut:
    """Spectra of a selection that an export left out: how many, and what they have in common."""

    spectra: int
    reason: str


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path : the new file or directory.
    what : what it is, for people.
    spectra : how many it holds; files : how many files hold them.
    left_out : the rest of the selection, by reason. Of no reason there are none.
    notes : what should be known of it.
    """

    path: str
    what: str
    spectra: int
    files: int = 1
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """As plain values, for JSON."""
        return {
            "path": self.path,
            "what": self.what,
            "spectra": self.spectra,
            "files": self.files,
            "left_out": [{"spectra": each.spectra, "reason": each.reason} for each in self.left_out],
            "notes": list(self.notes),
        }
