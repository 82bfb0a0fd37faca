"""Names of causes, and their realms."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

CAUSES = (
    "single_pixels", "noisy_interval", "sky_residuals", "second_redshift", "broad_lines", "split_lines",
    "arm_step",
)  # fmt: skip
"""Names, in the order of tensors."""


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
        "sky_residuals": Realm.SKY,
        "second_redshift": Realm.SOURCE,
        "broad_lines": Realm.SOURCE,
        "split_lines": Realm.SOURCE,
        "arm_step": Realm.REDUCTION,
    }
)
"""Of every cause."""
