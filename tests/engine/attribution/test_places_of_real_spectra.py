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

BROAD = ("spec-0491-51942-0402.fits", "spec-2123-53793-0443.fits")
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


def test_a_broad_line_is_one_place_with_its_name(explained: dict[str, Explanation]) -> None:
    for name in BROAD:
        near = [place for place in explained[name].places if abs(place.rest_wavelength - 6564.61) < 150]
        assert [place.line for place in near] == ["Hα"], name  # neither [N II] nor nothing
        assert near[0].flux == "excess"
        assert 2000 < 299_792.458 * near[0].width / near[0].wavelength < 12_000


def test_narrow_lines_are_narrow_places_of_their_own(explained: dict[str, Explanation]) -> None:
    named = {place.line: place for place in explained[NARROW].places if place.line}
    assert len({"[Ne III] 3870", "[O III] 4960", "[O III] 5008"} & set(named)) >= 2
    assert all(place.width < 20 for line, place in named.items() if line.startswith("["))
