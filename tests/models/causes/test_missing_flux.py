"""Missing flux: what was lost, where, and how much; light that was gained is no loss."""

from __future__ import annotations

import pytest
import torch

from models.causes.measurement import estimates
from tests.models.causes.test_banks import BANKS, WAVELENGTH, spectrum


def lost(low: float, high: float, share: float) -> torch.Tensor:
    """A share of the reconstruction less between two wavelengths, (N,)."""
    inside = (low <= WAVELENGTH) & (high >= WAVELENGTH)
    return -share * inside * spectrum().reconstruction


@pytest.mark.parametrize("share", [0.25, 0.5])
@pytest.mark.parametrize("width", [60.0, 150.0, 330.0])
@pytest.mark.parametrize("name", ["dead_interval", "trough"])
def test_place_width_and_share_are_measured(name: str, width: float, share: float) -> None:
    bank, given = BANKS[name], spectrum(added=lost(6000 - width / 2, 6000 + width / 2, share))
    found = bank.search(given)
    assert float(found.significance.max()) > 8
    measured = {each.quantity.name: each for each in estimates(bank, found, given)}
    assert measured["wavelength"].value == pytest.approx(6000, abs=0.3 * width)
    assert measured["width"].value == pytest.approx(299792.458 * width / 6000, rel=0.45)
    assert measured["percent"].value == pytest.approx(-100 * share, rel=0.3)


def test_sharp_edges_are_a_dead_interval_and_soft_ones_a_trough() -> None:
    given = spectrum(added=lost(5800, 6200, 0.3))
    soft = -0.3 * torch.exp(-(((WAVELENGTH - 6000) / 230) ** 2)) * given.reconstruction
    of_soft = spectrum(added=soft)
    best = {
        (name, edges): float(BANKS[name].search(each).significance.max())
        for name in ("dead_interval", "trough")
        for edges, each in (("sharp", given), ("soft", of_soft))
    }
    assert best["dead_interval", "sharp"] > best["trough", "sharp"]
    assert best["trough", "soft"] > best["dead_interval", "soft"]


def test_an_interval_of_more_light_is_no_loss() -> None:
    more = spectrum(added=lost(5900, 6100, -0.3))
    found = BANKS["dead_interval"].search(more).significance
    assert float(found.min()) < -8
    assert float(found.max()) < 5
    assert BANKS["dead_interval"].sign == 1
