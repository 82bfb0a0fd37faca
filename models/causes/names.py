"""Names of causes, and their realms."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

TEMPLATE_CAUSES = (
    "single_pixels", "noisy_interval", "dead_interval", "sky_residuals", "telluric", "arm_step",
    "calibration_wave", "second_redshift", "quasar_lines", "broad_lines", "split_lines", "unusual_lines",
    "missing_lines", "trough",
)  # fmt: skip
"""Names of the causes that have templates, in the order of tensors."""

WRONG_REDSHIFT = "wrong_redshift"
"""The spectrum is usual at another redshift."""

ANOTHER_CLASS = "another_class"
"""The spectrum is usual by the model of another spectral class."""

CAUSES = (*TEMPLATE_CAUSES, WRONG_REDSHIFT, ANOTHER_CLASS)
"""All names."""


UNKNOWN = "unknown"
"""What no template explains: the scan for anything, rare latents and usual misfit found it."""


class Realm(StrEnum):
    """Where a cause acts on light."""

    SOURCE = "source"
    SKY = "sky"
    INSTRUMENT = "instrument"
    REDUCTION = "reduction"


REALMS: Mapping[str, Realm] = MappingProxyType(
    {
        "single_pixels": Realm.INSTRUMENT,
        "noisy_interval": Realm.INSTRUMENT,
        "dead_interval": Realm.INSTRUMENT,
        "sky_residuals": Realm.SKY,
        "telluric": Realm.SKY,
        "arm_step": Realm.REDUCTION,
        "calibration_wave": Realm.REDUCTION,
        "second_redshift": Realm.SOURCE,
        "quasar_lines": Realm.SOURCE,
        "broad_lines": Realm.SOURCE,
        "split_lines": Realm.SOURCE,
        "unusual_lines": Realm.SOURCE,
        "missing_lines": Realm.SOURCE,
        "wrong_redshift": Realm.REDUCTION,
        "another_class": Realm.REDUCTION,
        "trough": Realm.SOURCE,
    }
)
"""Of every cause."""
