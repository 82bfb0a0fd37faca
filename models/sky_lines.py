"""Lines of the night sky and bands of the air: observed vacuum wavelengths, not those of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Airglow and city lights: vacuum wavelength, area in Angstrom relative to the continuum at 7000 Angstrom.
# Measured on the sky columns of public SDSS and BOSS spectra (blends as they see them).
SKY_LINES = (
    (4047.7, 2.5), (4359.5, 12.0), (5200.5, 3.0), (5462.3, 12.0), (5578.9, 420.0), (5683.0, 4.0),
    (5690.4, 6.0), (5771.2, 3.0), (5891.6, 45.0), (5897.6, 30.0), (6237.6, 5.0), (6302.0, 75.0),
    (6365.5, 25.0), (6500.5, 4.0), (6534.0, 4.0), (6555.0, 4.0), (6831.3, 12.0), (6866.0, 20.0),
    (6925.3, 11.0), (6951.2, 12.0), (6980.0, 6.0), (7242.8, 32.0), (7255.7, 8.0), (7278.5, 40.0),
    (7286.6, 14.0), (7306.0, 9.0), (7318.5, 30.0), (7331.5, 11.0), (7343.2, 36.0), (7360.9, 11.0),
    (7371.6, 25.0), (7394.4, 9.0), (7404.2, 16.0), (7440.7, 9.0), (7474.9, 12.0), (7484.1, 15.0),
    (7526.3, 27.0), (7574.0, 15.0), (7718.0, 42.0), (7726.5, 18.0), (7752.9, 55.0), (7762.3, 14.0),
    (7782.7, 11.0), (7796.4, 40.0), (7810.8, 14.0), (7823.8, 48.0), (7843.6, 12.0), (7855.7, 40.0),
    (7872.5, 22.0), (7882.3, 17.0), (7892.2, 23.0), (7915.9, 62.0), (7923.2, 22.0), (7933.7, 14.0),
    (7951.5, 11.0), (7967.1, 50.0), (7981.7, 22.0), (7995.8, 58.0), (8016.6, 14.0), (8028.2, 45.0),
    (8064.7, 20.0), (8105.1, 8.0), (8197.6, 8.0), (8283.5, 32.0), (8290.8, 38.0), (8300.8, 70.0),
    (8313.3, 14.0), (8346.9, 135.0), (8355.3, 26.0), (8367.1, 14.0), (8384.7, 27.0), (8401.7, 95.0),
    (8417.8, 34.0), (8432.7, 115.0), (8454.8, 29.0), (8467.9, 82.0), (8496.0, 18.0), (8507.4, 45.0),
    (8551.2, 17.0), (8631.6, 52.0), (8661.6, 40.0), (8770.0, 80.0), (8780.2, 112.0), (8793.8, 24.0),
    (8829.5, 200.0), (8838.8, 46.0), (8852.4, 20.0), (8870.0, 50.0), (8888.4, 148.0), (8905.8, 60.0),
    (8922.3, 170.0), (8945.9, 48.0), (8960.6, 128.0), (8991.0, 40.0), (9003.9, 78.0), (9040.7, 17.0),
    (9052.3, 36.0), (9105.4, 14.0), (9163.6, 9.0), (9315.5, 250.0), (9326.0, 140.0), (9340.1, 35.0),
    (9378.0, 220.0), (9404.2, 30.0), (9422.1, 62.0), (9442.4, 210.0), (9460.9, 105.0), (9479.6, 175.0),
    (9504.7, 78.0), (9521.6, 105.0), (9555.1, 48.0), (9569.7, 112.0), (9609.9, 22.0), (9623.2, 38.0),
    (9671.4, 34.0), (9683.7, 58.0), (9701.8, 62.0), (9722.4, 88.0), (9740.0, 44.0), (9793.2, 168.0),
    (9814.3, 30.0), (9851.0, 42.0), (9874.5, 148.0), (9897.2, 65.0), (9917.2, 156.0), (9948.4, 305.0),
    (9959.5, 210.0), (9974.9, 60.0), (10015.7, 265.0), (10027.8, 95.0), (10063.1, 70.0), (10085.1, 168.0),
    (10106.2, 70.0), (10126.6, 200.0), (10155.5, 118.0), (10174.2, 250.0), (10192.3, 160.0),
    (10213.1, 250.0), (10228.8, 170.0), (10288.8, 550.0), (10349.6, 150.0), (10373.4, 330.0),
)  # fmt: skip

SKY_RANGES = (
    ("Hg I sky", 4357.5, 4361.5),
    ("[O I] sky", 5574.0, 5584.0),
    ("Na I sky", 5886.0, 5902.0),
    ("[O I] sky", 6298.0, 6306.0),
    ("O₂ B band", 6866.0, 6946.0),
    ("O₂ A band", 7592.0, 7702.0),
    ("OH and H₂O", 9300.0, 9560.0),
)
"""The best known lines and absorption bands: name, first and last wavelength in Angstrom. Lines after
Osterbrock et al. (1996, PASP 108, 277), bands after Hinkle et al. (2003)."""

_BRIGHT = 40.0
"""Least area in Angstrom of the sky's continuum. One per cent of such a line, what sky subtraction leaves,
is as large as the noise of the continuum in the two or three pixels that it covers."""

_REACH = 3.0
"""Angstrom on both sides that a line's residual covers: the full width of a line at SDSS's resolution."""


def near_bright_sky_line(wavelength: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of these observed vacuum wavelengths (N,) in Angstrom lie on a bright line of the sky."""
    lines = np.array([place for place, area in SKY_LINES if area >= _BRIGHT])
    after = np.searchsorted(lines, wavelength).clip(1, len(lines) - 1)
    distance = np.minimum(np.abs(wavelength - lines[after - 1]), np.abs(wavelength - lines[after]))
    return np.asarray(distance <= _REACH)
