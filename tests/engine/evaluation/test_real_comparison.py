"""Labelled spectra under a model: every spectrum in its group, repeats found, distance as it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.evaluation.labelled_spectra import (
    LabelledSpectra,
    ScoredSpectra,
    read_labelled,
    score_all,
)
from engine.evaluation.real_comparison import ORDINARY, distance, groups, repeats
from engine.simulation.release import simulate_release
from engine.simulation.settings import SimulationSettings
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import InputError
from models.row_status import RowStatus
from models.scoring.scoring_model import ScoringModel
from tests.conftest import random_model

Both = tuple[LabelledSpectra, ScoredSpectra]


@pytest.fixture(scope="module")
def model() -> ScoringModel:
    return random_model()


@pytest.fixture(scope="module")
def labelled_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three coadds, two of them with a label."""
    out = tmp_path_factory.mktemp("labelled")
    settings = SimulationSettings("desi", 24, 0.0, 8, spectra_per_file=8, sky_fraction=0.2, resolution=False)
    simulate_release(settings, out / "data")
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("coadd-*.fits"))
    lines = ["file,label", f"{files[0]},{ORDINARY}", f"{files[1]},quasar", f"{files[2]},"]
    (out / "manifest.csv").write_text("\n".join(lines) + "\n")
    return out


@pytest.fixture(scope="module")
def both(labelled_files: Path, model: ScoringModel) -> Both:
    read = read_labelled(labelled_files, model.card.grid)
    return read, score_all(model, read.spectra)


def test_every_spectrum_is_in_one_group_and_accounted_for(both: Both) -> None:
    labelled, scored = both
    found = groups(labelled, scored)
    assert found[0].label == ORDINARY
    assert sum(group.spectra for group in found) == len(labelled.spectra) == 24
    for group in found:
        assert group.scored + sum(group.refused.values()) == group.spectra
        here = (labelled.label == group.label) & scored.scored
        assert group.flagged == np.sum(scored.tail[here] <= 0.01)
    assert sum(group.refused.get("sky_fibre", 0) for group in found) == np.sum(
        scored.status == RowStatus.SKY_FIBRE
    )
    assert np.all(np.isnan(scored.score[~scored.scored]))


def test_a_group_above_all_ordinary_spectra_is_so_in_every_pair(both: Both) -> None:
    labelled, scored = both
    raised = np.where(labelled.label == "quasar", scored.score + 1e4, scored.score)
    found = {group.label: group for group in groups(labelled, replace(scored, score=raised))}
    above = found["quasar"].above_ordinary
    assert above is not None
    assert (above.value, above.low, above.high) == (1.0, 1.0, 1.0)
    assert found[ORDINARY].above_ordinary is None


def test_spectra_at_one_place_are_repeats_of_one_object(both: Both) -> None:
    labelled, scored = both
    assert repeats(labelled, scored) == []
    rows = np.flatnonzero(scored.scored)[:3]
    moved = labelled.spectra.take(slice(None))
    moved.rows.data["ra"][rows] = 150.0
    moved.rows.data["dec"][rows] = 2.0 + np.array([0.0, 1.0, 2.0]) / 3600
    (found,) = repeats(replace(labelled, spectra=moved), scored)
    assert found.files == tuple(labelled.file[rows])
    assert found.scatter == pytest.approx(np.std(scored.score[rows], ddof=1))


def test_a_population_is_not_far_from_itself_and_far_from_one_that_is_odder(
    both: Both, model: ScoringModel
) -> None:
    _, scored = both
    wavelength = model.card.grid.wavelength()
    same = distance(scored, scored, wavelength)
    assert same.apart.value == pytest.approx(0.5)
    assert same.real == same.simulated == scored.scored.sum()
    other = distance(replace(scored, score=scored.score + 1e4), scored, wavelength)
    assert other.apart.value == other.apart_alike == 1.0
    for band in same.bands:
        # Simulated noise is what ivar says; a running median takes a little of it away.
        assert band.real_noise == pytest.approx(1.0, abs=0.1)


def test_noisier_spectra_are_seen_in_their_band_alone(both: Both, model: ScoringModel) -> None:
    _, scored = both
    wavelength = model.card.grid.wavelength()
    red = wavelength > 8400.0
    sigma = np.divide(1.0, np.sqrt(scored.ivar), out=np.zeros_like(scored.ivar), where=scored.ivar > 0)
    added = np.random.default_rng(2).normal(0.0, np.sqrt(3.0), scored.flux.shape) * sigma * red
    noisy = replace(scored, flux=(scored.flux + added).astype(np.float32))
    bands = distance(noisy, scored, wavelength).bands
    for band in bands:
        ratio = band.real_noise / band.simulated_noise
        assert ratio == pytest.approx(2.0 if band.low >= 8400 else 1.0, abs=0.2)


def test_a_directory_without_labels_or_of_another_instrument_is_refused(
    labelled_files: Path, model: ScoringModel, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no manifest"):
        read_labelled(tmp_path, model.card.grid)
    with pytest.raises(InputError, match="on the model's grid"):
        read_labelled(labelled_files, SDSS_GRID)


@pytest.mark.real_data
def test_every_labelled_sdss_file_is_read(real_data: Path) -> None:
    labelled = read_labelled(real_data / "real", SDSS_GRID)
    assert len(labelled.spectra) + labelled.quarantined == len(list((real_data / "real" / "sdss").iterdir()))
    assert np.sum(labelled.label == ORDINARY) == 29
    assert not np.any(labelled.label == "no label")
