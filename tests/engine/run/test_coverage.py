"""What the models of a run carry, from a sample of tables: exact where all are read, honest where not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.run import coverage
from engine.run.coverage import coverage_of, sample_files, share_of_release, wilson
from engine.simulation.release import SimulationSettings, simulate_release
from engine.spectra.source_file import ReleaseListing
from engine.store.routing import assigned
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from models.model_files import read_model
from models.row_status import RowStatus

SPECTRA = 60


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> ReleaseListing:
    """Galaxies, quasars and stars in four files."""
    settings = SimulationSettings(
        "desi", SPECTRA, 0.0, 6, spectra_per_file=15, quasar_fraction=0.2, star_fraction=0.3, resolution=False
    )
    return list_release([str(simulate_release(settings, tmp_path_factory.mktemp("mixed") / "release").path)])


def test_a_whole_release_is_counted_and_not_estimated(mixed: ReleaseListing) -> None:
    card = replace(read_model("desi-galaxy").card, redshift_max=0.25)
    sample, unreadable = sample_files(mixed.files)
    found = coverage_of(sample, unreadable, len(mixed.files), assigned([("near", card)], None))
    assert found is not None
    assert (found.whole, found.spectra, found.unreadable) == (True, SPECTRA, 0)
    rows = [row for file in mixed.files for row in read_spectra(file).rows.data]
    usable = [row for row in rows if row["status"] == RowStatus.SCORED]
    expected = Counter(
        (row["spectype"], "near" if row["spectype"] == "GALAXY" and row["redshift"] <= 0.25 else "")
        for row in usable
    )
    counted = Counter(
        {(cell.spectype, cell.model): round(cell.share.value * SPECTRA) for cell in found.cells}
    )
    assert counted == expected
    assert set(expected) == {("GALAXY", "near"), ("GALAXY", ""), ("QSO", ""), ("STAR", "")}
    assert found.carried.value == pytest.approx(expected["GALAXY", "near"] / SPECTRA)
    assert found.unusable.value == pytest.approx(1 - len(usable) / SPECTRA)
    assert all(cell.share.low == cell.share.value == cell.share.high for cell in found.cells)
    for row in usable:
        assert any(
            cell.spectype == row["spectype"] and cell.redshift_min <= row["redshift"] <= cell.redshift_max
            for cell in found.cells
        )
    near, far = (cell for cell in found.cells if cell.spectype == "GALAXY")
    assert near.redshift_max <= 0.25 <= far.redshift_min + 0.01


def test_what_is_read_is_what_the_arms_hold(mixed: ReleaseListing) -> None:
    sample, _ = sample_files(mixed.files)
    pixels = 2751 + 2326 + 2881
    for each in sample:
        of_arms = each.file.spectra * pixels * 3 * 4 + pixels * 8  # flux, ivar, mask; wavelengths once
        assert 0 < each.bytes - of_arms < 1000 * each.file.spectra  # rows of the fibermap


def test_the_sample_is_random_bounded_and_the_same_in_any_order(
    mixed: ReleaseListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "ENOUGH_SPECTRA", 16)
    chosen = {each.file.url for each in sample_files(mixed.files)[0]}
    assert len(chosen) == 2  # the file that reaches 16 ends it
    assert {each.file.url for each in sample_files(mixed.files[::-1])[0]} == chosen
    monkeypatch.setattr(coverage, "MOST_FILES", 1)
    assert {each.file.url for each in sample_files(mixed.files)[0]} < chosen


def test_a_file_that_cannot_be_read_is_counted_and_left_out(mixed: ReleaseListing, tmp_path: Path) -> None:
    cut = tmp_path / "coadd-cut.fits"
    cut.write_bytes(Path(mixed.files[0].url).read_bytes()[:40_000])
    files = (replace(mixed.files[0], url=str(cut)), *mixed.files[1:])
    sample, unreadable = sample_files(files)
    assert (len(sample), unreadable) == (3, 1)
    card = read_model("desi-galaxy").card
    assert coverage_of((), 1, 0, assigned([("m", card)], None)) is None


def test_the_interval_is_wilsons_and_holds_the_truth_although_files_differ() -> None:
    interval = wilson(0.8, 10)
    assert (interval.low, interval.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    generator = np.random.default_rng(1)
    # Two programs, as dark and bright: the share of quasars is that of the file.
    shares = np.where(np.arange(400) % 2, 0.02, 0.3)
    spectra = [generator.random(50) < share for share in shares]
    truth = float(np.concatenate(spectra).mean())
    inside, naive = 0, 0
    for _ in range(400):
        files = generator.choice(400, 20, replace=False)
        chosen = np.concatenate([spectra[each] for each in files])
        found = share_of_release(chosen, np.repeat(np.arange(20), 50), 400)
        inside += found.low <= truth <= found.high
        single = wilson(found.value, len(chosen))
        naive += single.low <= truth <= single.high
    assert inside / 400 > 0.9
    assert naive / 400 < 0.8
    nothing = share_of_release(np.zeros(1000, dtype=bool), np.repeat(np.arange(20), 50), 400)
    assert (nothing.value, nothing.low) == (0, 0)
    assert 0.001 < nothing.high < 0.01
