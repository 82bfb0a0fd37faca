"""Instruments: arms, throughput and noise of DESI, the SDSS-I/II spectrographs and BOSS.

Levels were set by eye on public spectra: DESI EDR and DR1 coadds, SDSS DR17 files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from engine.simulation.arms import Arm
from engine.simulation.night_sky import Sky
from engine.simulation.rest_frame import Floats
from engine.simulation.settings import SIMULATED, ReleaseName, SimulationSettings
from models.grid import WavelengthGrid

_DESI_THROUGHPUT = {
    "b": ((3600.0, 0.075), (3700.0, 0.11), (3850.0, 0.17), (4000.0, 0.22), (4300.0, 0.28), (4700.0, 0.325),
          (5200.0, 0.355), (5600.0, 0.36), (5720.0, 0.33), (5760.0, 0.24), (5800.0, 0.10)),
    "r": ((5760.0, 0.10), (5800.0, 0.21), (5850.0, 0.32), (6000.0, 0.37), (6500.0, 0.43), (7000.0, 0.45),
          (7400.0, 0.45), (7540.0, 0.40), (7580.0, 0.28), (7620.0, 0.10)),
    "z": ((7520.0, 0.08), (7560.0, 0.24), (7620.0, 0.38), (7800.0, 0.44), (8400.0, 0.49), (9000.0, 0.49),
          (9400.0, 0.44), (9824.0, 0.33)),
}  # fmt: skip
_SDSS_THROUGHPUT = (
    (3550.0, 0.03), (3700.0, 0.06), (3800.0, 0.09), (3900.0, 0.13), (4200.0, 0.20), (4700.0, 0.26),
    (5300.0, 0.30), (5750.0, 0.28), (5950.0, 0.22), (6150.0, 0.24), (6500.0, 0.33), (7200.0, 0.36),
    (8000.0, 0.33), (8700.0, 0.26), (9200.0, 0.19), (9800.0, 0.11), (10400.0, 0.055),
)  # fmt: skip


@dataclass(frozen=True)
class Instrument:
    """What turns light into flux with noise.

    Attributes
    ----------
    name : ``desi``, ``legacy`` or ``boss`` (of SDSS-V too).
    arms : its arms, blue first.
    gain : electrons per pixel for unit flux at 6000 Angstrom and throughput 0.4, at unit depth.
    read_variance : electrons squared per pixel at unit depth.
    sky_level : sky continuum at 7000 Angstrom in one fibre, flux units.
    brightest, faintest : range of r magnitudes in the fibre.
    """

    name: str
    arms: tuple[Arm, ...]
    gain: float
    read_variance: float
    sky_level: float
    brightest: float
    faintest: float

    @cached_property
    def electrons(self) -> tuple[Floats, ...]:
        """Per arm: electrons per pixel for unit flux at unit depth."""
        return tuple(self._electrons(arm) for arm in self.arms)

    @cached_property
    def skies(self) -> tuple[Sky, ...]:
        """Per arm: the mean sky."""
        return tuple(Sky(arm) for arm in self.arms)

    def variance(self, index: int, flux: Floats, sky: Floats, sky_lines: Floats, depth: float) -> Floats:
        """Variance of arm ``index``'s flux: photons, read noise, and an imperfect model of the sky."""
        electrons = self.electrons[index]
        photons = electrons * (np.maximum(flux, 0.0) + sky)
        return np.asarray((photons + self.read_variance) / (electrons**2 * depth) + (0.008 * sky_lines) ** 2)

    def _electrons(self, arm: Arm) -> Floats:
        curve = _DESI_THROUGHPUT.get(arm.name, _SDSS_THROUGHPUT)
        wavelengths, values = zip(*curve, strict=True)
        throughput = np.interp(arm.wavelength, wavelengths, values)
        if arm.name == "b":
            # The blue collimators' coating.
            throughput *= 1.0 - 0.45 * np.exp(-0.5 * ((arm.wavelength - 4380.0) / 28.0) ** 2)
        per_pixel = arm.pixel_width / np.median(arm.pixel_width)
        return np.asarray(self.gain * throughput / 0.4 * arm.wavelength / 6000.0 * per_pixel)


DESI_ARMS = (
    Arm("b", WavelengthGrid("desi-b", "linear", 3600.0, 0.8, 2751), 0.95),
    Arm("r", WavelengthGrid("desi-r", "linear", 5760.0, 0.8, 2326), 0.94),
    Arm("z", WavelengthGrid("desi-z", "linear", 7520.0, 0.8, 2881), 1.00),
)


@lru_cache(maxsize=64)
def instrument(release: ReleaseName, first_pixel: int = 0) -> Instrument:
    """The instrument of ``release``; SDSS spectra start ``first_pixel`` pixels after the usual one."""
    if release in ("dr1", "edr"):
        return Instrument("desi", DESI_ARMS, 30.0, 36.0, 0.55, 17.2, 21.6)
    start, size = (3.58, 3842) if release == "legacy" else (3.5523, 4640)
    grid = WavelengthGrid(
        "sdss-all", "log10", round(start + 1e-4 * first_pixel, 4), 1e-4, size - 2 * abs(first_pixel)
    )
    arm = Arm("all", grid, 0.98 if release == "legacy" else 0.90)
    if release == "legacy":
        return Instrument("legacy", (arm,), 24.0, 90.0, 2.3, 16.4, 19.9)
    return Instrument("boss", (arm,), 60.0, 120.0, 1.1, 17.0, 21.3)


def drawn_instrument(settings: SimulationSettings, random: np.random.Generator) -> Instrument:
    """The instrument of a spectrum, which begins where ``random`` says if the survey's do not begin alike."""
    reach = SIMULATED[settings.survey].shift
    return instrument(settings.release_name, int(random.integers(-reach, reach + 1)) if reach else 0)
