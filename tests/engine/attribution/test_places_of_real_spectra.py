"""Places of real SDSS spectra with broad lines, by the shipped model, through store-ready explanations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.attribution.explainer import Explainer
from engine.attribution.explanation import Explanation
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.evaluation.labelled_spectra import score_all
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.spectra import Spectra
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from engine.surveys.sdss.grid import SDSS_GRID
from models.weights import load_model

BROAD = ("spec-0491-51942-0402.fits", "spec-2603-54479-0443.fits")
NARROW = "spec-2880-54509-0230.fits"


@pytest.fixture(scope="module")
def explained(real_data: Path) -> dict[str, Explanation]:
    """By the file's name."""
    model = load_model("sdss-galaxy")
    files = [list_release([str(real_data / "real" / "sdss" / name)]).files[0] for name in (*BROAD, NARROW)]
    spectra = Spectra.concatenate(SDSS_GRID, [read_spectra(file, 0, 1) for file in files])
    scored = score_all(model, spectra)
    selected = SelectedSpectra(
        np.arange(len(files)), scored.redshift, scored.flux, scored.ivar, np.zeros(len(files), np.int8)
    )
    settings = OcclusionSettings(baselines=2, windows=(16, 64, 256))
    found = Explainer(model, settings).explain(selected)
    return {name: found.one(number) for number, name in enumerate((*BROAD, NARROW))}


def test_the_first_place_of_broad_lines_is_named_after_them(explained: dict[str, Explanation]) -> None:
    firsts = [explained[name].places[0] for name in BROAD]
    assert [place.line for place in firsts] == ["Hα"] * len(BROAD)
    assert {place.flux for place in firsts} == {"excess"}
    velocities = [299_792.458 * place.width / place.wavelength for place in firsts]
    assert all(2000 < velocity < 12_000 for velocity in velocities), velocities


def test_narrow_lines_are_narrow_places_of_their_own(explained: dict[str, Explanation]) -> None:
    named = {place.line: place for place in explained[NARROW].places if place.line}
    assert {"[Ne III] 3870", "[O III] 4364", "Hδ"} <= set(named)
    assert all(place.width < 10 for name, place in named.items() if name in ("[O III] 4364", "Hδ"))
