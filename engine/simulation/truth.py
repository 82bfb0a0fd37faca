"""Truth of every simulated spectrum: the table ``truth.ecsv`` beside a release."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from astropy.table import Table

from engine.simulation.spectrum import SimulatedSpectrum
from models.atomic_files import atomic_file

TRUTH_NAME = "truth.ecsv"

_NAN = float("nan")
_UNITS = {
    "ra": "deg",
    "dec": "deg",
    "mjd": "d",
    "magnitude": "mag",
    "wavelength_min": "Angstrom",
    "wavelength_max": "Angstrom",
    "centre": "Angstrom",
    "dispersion": "km / s",
}


@dataclass(frozen=True)
class TruthRow:
    """One row of the truth.

    Attributes
    ----------
    index : number of the spectrum in the release.
    specprod, survey, program, target_id, plate, mjd, fiber : its key; -1 and empty where not of its survey.
    file, row : source file relative to the release, and row in it.
    ra, dec : degrees.
    row_kind : ``target``, ``sky_fibre``, ``stuck`` or ``bad_fibre``.
    source : ``star_forming``, ``passive``, ``seyfert``, ``template``, ``quasar``, ``star`` or ``sky``.
    spectype : class in the release's own redshift table.
    redshift : true redshift, NaN without a source.
    magnitude : r magnitude in the fibre.
    dispersion : km/s, of the continuum.
    snr : median of flux * sqrt(ivar) over good pixels, anomaly included.
    anomaly : AnomalyKind, empty for none.
    frame : ``rest`` where the anomaly came with the light, ``observed`` where the instrument made it.
    regions : observed intervals that it changed, ``low:high;low:high`` in Angstrom.
    wavelength_min, wavelength_max : ends of the first and last region.
    centre : where a person would point.
    strength : significance of the change in sigma.
    amplitude : largest relative change.
    """

    index: int
    specprod: str
    survey: str
    program: str
    target_id: int
    plate: int
    mjd: int
    fiber: int
    file: str
    row: int
    ra: float
    dec: float
    row_kind: str
    source: str
    spectype: str
    redshift: float
    magnitude: float
    dispersion: float
    snr: float
    anomaly: str
    frame: str
    regions: str
    wavelength_min: float
    wavelength_max: float
    centre: float
    strength: float
    amplitude: float

    @classmethod
    def of(
        cls,
        spectrum: SimulatedSpectrum,
        *,
        specprod: str,
        survey: str,
        file: str,
        row: int,
        ra: float,
        dec: float,
        spectype: str,
        target_id: int = -1,
        program: str = "",
        plate: int = -1,
        mjd: int = -1,
        fiber: int = -1,
    ) -> TruthRow:
        """The truth of ``spectrum`` under the key that its survey gave it."""
        anomaly = spectrum.anomaly
        return cls(
            index=spectrum.index,
            specprod=specprod,
            survey=survey,
            program=program,
            target_id=target_id,
            plate=plate,
            mjd=mjd,
            fiber=fiber,
            file=file,
            row=row,
            ra=ra,
            dec=dec,
            row_kind=spectrum.row_kind.value,
            source=spectrum.source.kind.value,
            spectype=spectype,
            redshift=spectrum.source.redshift,
            magnitude=spectrum.source.magnitude,
            dispersion=spectrum.source.dispersion,
            snr=spectrum.snr,
            anomaly=anomaly.kind.value if anomaly else "",
            frame=("rest" if anomaly.kind.astrophysical else "observed") if anomaly else "",
            regions=anomaly.regions_text() if anomaly else "",
            wavelength_min=anomaly.wavelength_min if anomaly else _NAN,
            wavelength_max=anomaly.wavelength_max if anomaly else _NAN,
            centre=anomaly.centre if anomaly else _NAN,
            strength=anomaly.strength if anomaly else _NAN,
            amplitude=anomaly.amplitude if anomaly else _NAN,
        )


def write_truth(path: Path, rows: list[TruthRow], meta: dict[str, Any]) -> None:
    """Write ``rows`` as ECSV, with units and ``meta``."""
    names = [field.name for field in fields(TruthRow)]
    table = Table({name: [getattr(row, name) for row in rows] for name in names}, meta=meta)
    for name, unit in _UNITS.items():
        table[name].unit = unit
    with atomic_file(path) as partial:
        table.write(partial, format="ascii.ecsv")


def read_truth(path: Path) -> Table:
    """The table that :func:`write_truth` wrote; text columns hold empty strings, not masked values."""
    table = Table.read(path, format="ascii.ecsv", fill_values=[])
    for name in ("program", "anomaly", "frame", "regions"):
        table[name] = table[name].astype(str)
    return table
