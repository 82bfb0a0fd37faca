"""The night sky: continuum and airglow lines, as a fibre of DESI or SDSS sees them."""

from __future__ import annotations

import numpy as np

from engine.simulation.arms import Arm
from engine.simulation.rest_frame import Floats
from models.sky_lines import SKY_LINES

# Continuum of the night sky at Kitt Peak or Apache Point, relative to that at 7000 Angstrom.
_CONTINUUM = (
    (3500.0, 1.30),
    (3800.0, 1.12),
    (4100.0, 1.12),
    (4600.0, 1.20),
    (5100.0, 1.18),
    (5500.0, 1.28),
    (5900.0, 1.45),
    (6200.0, 1.34),
    (6600.0, 1.08),
    (7000.0, 1.00),
    (7600.0, 1.02),
    (8000.0, 1.05),
    (8400.0, 0.92),
    (8800.0, 0.84),
    (9200.0, 0.80),
    (9700.0, 1.00),
    (10400.0, 1.35),
)


# Twilight and moonlight do not touch these; the lines that vary with solar activity and mesopause do.
_HYDROXYL_FROM = 6800.0


class Sky:
    """The mean sky of one arm, in units of its continuum at 7000 Angstrom.

    Attributes
    ----------
    continuum, atomic, hydroxyl : (pixels,) parts that vary separately from night to night.
    """

    def __init__(self, arm: Arm) -> None:
        wavelengths, levels = zip(*_CONTINUUM, strict=True)
        self.continuum: Floats = np.interp(arm.wavelength, wavelengths, levels)
        self.atomic: Floats = np.zeros(arm.grid.size)
        self.hydroxyl: Floats = np.zeros(arm.grid.size)
        for wavelength, area in SKY_LINES:
            part = self.hydroxyl if wavelength > _HYDROXYL_FROM else self.atomic
            arm.add_line(part, wavelength, area, arm.line_sigma(wavelength, 12.0))

    def night(self, level: float, atomic: float, hydroxyl: float) -> Floats:
        """The sky, (pixels,), at an overall level and with lines of the two kinds at their strengths."""
        return level * (self.continuum + atomic * self.atomic + hydroxyl * self.hydroxyl)

    def lines(self, level: float, atomic: float, hydroxyl: float) -> Floats:
        """Its lines alone."""
        return level * (atomic * self.atomic + hydroxyl * self.hydroxyl)
