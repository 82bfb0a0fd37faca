"""Each caution on an explanation made to carry it, and on its neighbours that do not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution
from engine.attribution.caution_criteria import CautionCriteria
from engine.attribution.cautions import NOTHING, Caution
from engine.surveys.desi.grid import DESI_GRID
from models.model_card import ModelCard
from models.sky_lines import near_bright_sky_line
from models.weights import load_model

SCALES = np.array([1, 16, 256], np.int64)
WAVELENGTH = DESI_GRID.wavelength()
SKY, CALM, REDSHIFT = 5578.9, 5300.0, 0.2


@dataclass(frozen=True)
class Made:
    """An explanation to be made: one bump, of the same height at all scales unless said otherwise."""

    place: float = CALM
    width: float = 8.0
    height: float = 5.0
    floor: float = 0.0
    spread: float = 0.4
    window: int = 16
    excess: float = 6.0
    effects: bool = True
    ratio: float = 8.0
    redshift: float = REDSHIFT
    ivar: NDArray[np.float64] = field(default_factory=lambda: np.full(DESI_GRID.size, 64.0))
    light: NDArray[np.float64] = field(default_factory=lambda: np.ones(DESI_GRID.size))

    def masking(self, first: float, last: float, every: int = 1) -> Made:
        """Pixels from first to last (Angstrom) masked, or every so many-th of them."""
        ivar = self.ivar.copy()
        ivar[np.flatnonzero((first <= WAVELENGTH) & (last >= WAVELENGTH))[::every]] = 0.0
        return replace(self, ivar=ivar)

    def noisier(self, first: float, last: float, factor: float) -> Made:
        """With so many times less inverse variance from first to last (Angstrom)."""
        ivar = self.ivar.copy()
        ivar[(first <= WAVELENGTH) & (last >= WAVELENGTH)] /= factor
        return replace(self, ivar=ivar)

    def brighter(self, first: float, last: float, factor: float) -> Made:
        """With so many times more flux from first to last (Angstrom): a line of the source."""
        light = self.light.copy()
        light[(first <= WAVELENGTH) & (last >= WAVELENGTH)] *= factor
        return replace(self, light=light)

    def attribution(self) -> Attribution:
        bump = np.exp(-0.5 * np.square((WAVELENGTH - self.place) / self.width))
        good = self.ivar > 0
        combined = np.where(good, self.floor + self.height * bump, 0.0).astype(np.float32)
        return Attribution(
            scales=SCALES,
            maps=np.repeat(combined[None], len(SCALES), axis=0),
            spread=np.where(good, np.float32(self.spread), 0).astype(np.float32).repeat(3).reshape(-1, 3).T,
            combined=combined,
            score=self.excess,
            baseline_scores=np.zeros(8),
            peak_pixel=int(np.where(good, combined, -np.inf).argmax()),
            peak_scale=self.window,
            shares=np.ones(len(SCALES)) if self.effects else None,
        )


@pytest.fixture(scope="module")
def card() -> ModelCard:
    """Of the shipped model, with ranges that stay as they are; baselines from 3000 rest-frame Angstrom on."""
    shipped = load_model("desi-galaxy").card
    return replace(
        shipped, rest_start=np.log10(3000.0), redshift_min=0.0, redshift_max=0.6, snr_min=2.0, snr_max=30.0
    )


def carried(made: Made, card: ModelCard) -> Caution:
    flux = made.light * made.ratio / np.sqrt(made.ivar.max())
    return CautionCriteria(card).cautions(
        made.attribution(), flux.astype(np.float32), made.ivar.astype(np.float32), made.redshift
    )


def test_an_ordinary_explanation_carries_none(card: ModelCard) -> None:
    assert carried(Made(), card) == NOTHING


def test_the_constructed_places_are_what_they_are_meant_to_be() -> None:
    near = near_bright_sky_line(np.array([SKY, SKY + 2.9, SKY + 3.1, SKY - 3.1, CALM, 8429.0]))
    assert near.tolist() == [True, True, False, False, False, False]


UNIFORM = [
    (Made(floor=16.0), True),  # the bump is less than a quarter of what is there
    (Made(floor=14.0), False),
    (Made(floor=2.0), False),  # the floor holds nearly everything, but a bump stands out of it
    (Made(floor=2.0, height=0.01), True),
    (Made(width=700.0), False),  # a broad anomaly has its place
    (Made(floor=0.002), False),
]
EDGE = [
    (Made(place=WAVELENGTH[10]), True),
    (Made(place=WAVELENGTH[-3]), True),
    (Made(place=WAVELENGTH[30]), False),
    (Made(place=WAVELENGTH[60], window=256), True),
    (Made(place=WAVELENGTH[120], window=256), False),
    (Made(place=4600.0).masking(3600.0, 4592.0), True),  # where the good pixels begin
    (Made(place=4600.0).masking(3600.0, 4500.0), False),
    (Made(place=3806.0, redshift=0.27), True),  # the baselines begin at 3810
    (Made(place=3700.0, redshift=0.27), True),
    (Made(place=3840.0, redshift=0.27), False),
]
NO_RESPONSE = [
    (Made(height=0.5), True),
    (Made(height=5.0, excess=80.0), True),
    (Made(height=0.7), False),
    (Made(height=9.0, excess=80.0), False),
    (Made(height=0.29, excess=0.41, spread=0.05), False),  # a clear place, though its baselines are odd, too
    (Made(height=0.03, excess=0.41, spread=0.005), True),
    (Made(height=0.003, excess=6.0, spread=0.0, effects=False), False),  # a slope: nothing to compare with
    (Made(height=0.003, excess=np.nan, spread=0.0), False),
    (Made(height=-5.0), True),
    (Made(height=-5.0, effects=False), True),
]
DISAGREE = [
    (Made(spread=5.5), True),
    (Made(spread=4.5), False),
    (Made(spread=0.0), False),  # a single baseline agrees with itself
]
MASKED = [
    (Made(width=2.0).masking(CALM - 0.5, CALM + 0.5), True),
    (Made(width=8.0).masking(CALM + 20.0, CALM + 24.0), False),
    (Made(width=2.0).masking(3600.0, 9824.0, every=10), False),  # masks everywhere: no wonder
    (Made().masking(7000.0, 9824.0).masking(3600.0, 4300.0), True),  # most of the spectrum
    (Made(width=40.0, window=256).masking(CALM + 8.0, CALM + 130.0).masking(CALM - 90.0, CALM - 8.0), True),
]
SKY_LINES = [
    (Made(place=SKY, width=4.0), True),
    (Made(place=SKY - 25.0, width=4.0), False),
    (Made(place=SKY, width=60.0), False),  # a broad feature that happens to hold a sky line
    (Made(width=4.0).noisier(CALM - 5.0, CALM + 5.0, 9.0), True),
    (Made(width=4.0).noisier(CALM - 5.0, CALM + 5.0, 2.0), False),
    (Made(width=4.0).noisier(3600.0, 5800.0, 9.0), False),  # a noisy arm is no line
    (Made(width=4.0).noisier(CALM - 5.0, CALM + 5.0, 9.0).brighter(CALM - 5.0, CALM + 5.0, 9.0), False),
    (Made(width=4.0).noisier(CALM - 5.0, CALM + 5.0, 9.0).brighter(CALM - 5.0, CALM + 5.0, 2.0), True),
    (Made(place=SKY, width=4.0).brighter(SKY - 5.0, SKY + 5.0, 9.0), True),  # a line of the sky all the same
]
OUTSIDE = [
    (Made(ratio=1.0), True),
    (Made(ratio=40.0), True),
    (Made(ratio=2.5), False),
    (Made(redshift=0.7, place=6000.0), True),
]
ODD_BASELINES = [(Made(excess=-3.0), True), (Made(excess=0.0), True), (Made(excess=0.1), False)]


@pytest.mark.parametrize(
    ("caution", "made", "expected"),
    [
        (caution, made, expected)
        for caution, cases in (
            (Caution.UNIFORM, UNIFORM),
            (Caution.EDGE, EDGE),
            (Caution.NO_RESPONSE, NO_RESPONSE),
            (Caution.BASELINES_DISAGREE, DISAGREE),
            (Caution.MASKED, MASKED),
            (Caution.SKY_LINES, SKY_LINES),
            (Caution.OUTSIDE_RANGE, OUTSIDE),
            (Caution.ODD_BASELINES, ODD_BASELINES),
        )
        for made, expected in cases
    ],
)
def test_the_caution_and_no_other(caution: Caution, made: Made, expected: bool, card: ModelCard) -> None:
    found = carried(made, card)
    assert bool(found & caution) is expected, found
    assert not found & ~caution, found


def test_a_tiled_presets_maps_are_shared_out_effects(card: ModelCard) -> None:
    made = replace(Made(), height=0.2, spread=0.05)
    ivar = np.full(DESI_GRID.size, 64.0)
    whole, shared = made.attribution(), replace(made.attribution(), shares=1 / SCALES)
    measured = [CautionCriteria(card).measures(each, ivar, ivar, REDSHIFT) for each in (whole, shared)]
    assert measured[0].response == pytest.approx(0.2, rel=1e-3)
    assert measured[1].response == pytest.approx(0.2 * 256, rel=1e-3)


def test_a_narrow_scale_that_hardly_responds_has_no_say_on_agreement(card: ModelCard) -> None:
    explained = Made(spread=6.0).attribution()
    maps, spread = explained.maps.copy(), explained.spread.copy()
    maps[0] *= 0.05
    spread[0] = 0.01
    ivar = np.full(DESI_GRID.size, 64.0)
    criteria = CautionCriteria(card)
    measured = criteria.measures(replace(explained, maps=maps, spread=spread), ivar, ivar, REDSHIFT)
    assert measured.agreement == pytest.approx(5 / 6, rel=1e-2)
    maps[0] *= 10.0
    spread[0] = 0.01
    measured = criteria.measures(replace(explained, maps=maps, spread=spread), ivar, ivar, REDSHIFT)
    assert measured.agreement > 100


def test_a_spectrum_without_good_pixels_breaks_nothing(card: ModelCard) -> None:
    made = replace(Made(), ivar=np.zeros(DESI_GRID.size))
    explained = replace(made.attribution(), peak_pixel=-1, peak_scale=0)
    found = CautionCriteria(card).cautions(
        explained, np.zeros(DESI_GRID.size, np.float32), np.zeros(DESI_GRID.size, np.float32), REDSHIFT
    )
    assert found & Caution.MASKED
    assert found & Caution.OUTSIDE_RANGE
