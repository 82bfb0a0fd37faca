"""Pixels of held-out spectra: those that a reader gives of the same spectrum in a release's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.evaluation.held_out_spectra import on_grid
from engine.simulation.broad_spectrum import spectrum_maker
from engine.simulation.release import SimulationSettings, read_truth, simulate_release
from engine.simulation.settings import SurveyName
from engine.surveys.listing import list_release
from engine.surveys.reading import open_spectra


@pytest.mark.parametrize("survey", ["desi", "sdss"])
def test_an_evaluation_scores_the_pixels_that_a_run_would(survey: SurveyName, tmp_path: Path) -> None:
    settings = SimulationSettings(
        survey, 6, outlier_fraction=0.0, seed=8, sky_fraction=0.0, broken_fraction=0.0
    )
    release = simulate_release(settings, tmp_path / "release")
    make, listing = spectrum_maker(settings), list_release([str(release.path)])
    place = {(row["file"], row["row"]): int(row["index"]) for row in read_truth(release.truth)}
    compared = masked = 0
    for file in listing.files:
        with open_spectra(file, 0, None) as spectra:
            read = spectra.read(0, file.spectra)
        for row in range(file.spectra):
            index = place[str(Path(file.url).relative_to(release.path)), row]
            expected = on_grid(make(index), listing.grid, "GALAXY")
            np.testing.assert_array_equal(read.ivar[row] > 0, expected.ivar[0] > 0)
            np.testing.assert_allclose(read.flux[row], expected.flux[0], rtol=2e-6, atol=1e-6)
            np.testing.assert_allclose(read.ivar[row], expected.ivar[0], rtol=2e-6)
            masked += int((expected.ivar[0] == 0).sum())
            compared += 1
    assert compared == 6
    assert masked > 0
