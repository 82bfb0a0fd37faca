"""Spectrum choice: which spectrum of which file is asked for, and the one that was found."""

from __future__ import annotations

from dataclasses import dataclass

from engine.attribution.method import MethodSettings
from engine.spectra.spectra import Spectra
from models.credentials import refuse_credentials


@dataclass(frozen=True)
class SpectrumRequest:
    """Which spectrum of which file, and how to explain it.

    Attributes
    ----------
    file : path or URL; a file of redshifts is looked for beside it.
    target_id, row : one of them; neither for a file with one spectrum.
    model : name or directory; None for the one that ships for the file's grid and the spectrum's class and
        redshift, or where there is none for the class, the first for the grid.
    attribution : settings of the method; memory_bytes : what it may take, 0 for what suits the device.
    redshift, spectral_class : instead of what the file says; None and empty for that.
    medium : ``vacuum`` or ``air``, in which a table's wavelengths are.
    redshifts : path of a table of redshifts that go before the pipeline's; empty for none.
    """

    file: str
    target_id: int | None
    row: int | None
    model: str | None
    attribution: MethodSettings
    memory_bytes: int = 0
    redshift: float | None = None
    spectral_class: str = ""
    medium: str = "vacuum"
    redshifts: str = ""

    def __post_init__(self) -> None:
        refuse_credentials(self.file, self.model or "")


@dataclass(frozen=True)
class ChosenSpectrum:
    """The spectrum that was asked for (a table of one row).

    Attributes
    ----------
    source : path or URL of its file; empty for arrays.
    spectra : it alone.
    notes : what was assumed or done when it was read, in sentences.
    """

    source: str
    spectra: Spectra
    notes: tuple[str, ...] = ()
