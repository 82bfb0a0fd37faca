"""Viewer list: spectra as the viewers of their survey take them, as a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListedSpectrum:
    """What names a spectrum and where it was taken; numbers that are not known are -1, texts empty.

    ``target_id`` is as the survey's catalogue has it, ``exposures`` as in
    :data:`engine.spectra.rows.COLUMNS`.
    """

    key: str
    target_id: int
    plate: int
    mjd: int
    fiber: int
    exposures: str


def list_of_keys(spectra: Sequence[ListedSpectrum]) -> str:
    """The keys, a line each: what is listed of a survey whose viewers are not known."""
    return "".join(f"{each.key}\n" for each in spectra)
