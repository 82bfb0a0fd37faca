"""Picking: targets narrow a release, redshifts of a user go before the pipeline's, and rows say so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.run.picking import Wanted, picked
from engine.simulation.release import simulate_release
from engine.simulation.settings import FormName, SimulationSettings, SurveyName
from engine.spectra.rows import Rows
from engine.spectra.source_file import ReleaseListing, SourceFile
from engine.spectra.spectra import Spectra
from engine.store.ledger import _to_plan
from engine.store.saved_plans import ScorePlan
from engine.surveys.listing import list_release
from engine.surveys.reading import open_spectra, read_spectra, unreadable_rows, verify
from models.errors import InputError, QuarantineError
from models.row_status import RowStatus
from tests.engine.surveys.coadd_files import CoaddContent, contents


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> ReleaseListing:
    settings = SimulationSettings("desi", 30, seed=6, spectra_per_file=10, resolution=False)
    return list_release([str(simulate_release(settings, tmp_path_factory.mktemp("picking") / "r").path)])


def whole(listing: ReleaseListing) -> Spectra:
    return Spectra.concatenate(listing.grid, [read_spectra(file) for file in listing.files])


def targets_of(rows: Rows) -> list[int]:
    return [target for target in rows["target_id"].tolist() if target > 0]


def test_only_the_targets_are_read(listing: ReleaseListing) -> None:
    every = whole(listing)
    wanted = targets_of(every.rows)[3:14:2]
    found = picked(listing, Wanted({"target_id": dict.fromkeys([*wanted, 7])}))
    assert found.targets_missing == (7,)
    assert found.listing.spectra == len(wanted)
    spectra = whole(found.listing)
    expected = every.take(np.flatnonzero(np.isin(every.rows["target_id"], wanted)))
    assert contents(spectra.rows) == contents(expected.rows)
    assert spectra.flux.tobytes() == expected.flux.tobytes()
    for file in found.listing.files:
        with open_spectra(file) as opened:
            part = read_spectra(file)
            assert contents(opened.read(1, 2).rows) == contents(part.rows.take(slice(1, 2)))
            tables = opened.rows(0, file.spectra)
            assert tables["source_row"].tolist() == list(file.picked) or not file.picked
        lost = unreadable_rows(file, 0, file.spectra)["source_row"]
        assert lost.tolist() == part.rows["source_row"].tolist()
        verify(file)


def test_files_without_a_target_are_left_out_and_a_whole_file_is_whole(listing: ReleaseListing) -> None:
    first = listing.files[0]
    rows = read_spectra(first).rows
    found = picked(listing, Wanted({"key": dict.fromkeys(rows.keys())}))
    assert found.listing.files == (first,)
    assert found.targets_missing == ()


def test_targets_that_are_not_there_are_an_error(listing: ReleaseListing) -> None:
    with pytest.raises(InputError, match="None of the targets is in the release") as caught:
        picked(listing, Wanted({"target_id": {5: None, 6: None}}))
    assert "2 targets, such as 5, 6" in str(caught.value)
    assert "30 spectra, by target_id" in str(caught.value)


def test_own_redshifts_go_before_the_pipelines(listing: ReleaseListing) -> None:
    every = whole(listing).rows
    first, second, third = targets_of(every)[:3]
    own = {first: (0.25, "QSO"), second: (1.5, ""), 9: (2.0, "")}
    found = picked(listing, Wanted(redshifts={"target_id": own}))
    assert found.redshifts_missing == (9,)
    rows = whole(found.listing).rows
    at = {target: rows["target_id"].tolist().index(target) for target in (first, second, third)}
    one, two, other = (rows.data[at[target]] for target in (first, second, third))
    assert (one["redshift"], one["spectype"], one["own_redshift"], one["own_class"]) == (
        0.25,
        "QSO",
        True,
        True,
    )
    assert (two["redshift"], two["own_redshift"], two["own_class"]) == (1.5, True, False)
    assert two["spectype"] == every["spectype"][at[second]]
    assert np.isnan(one["redshift_err"])
    assert np.isnan(one["delta_chi2"])
    assert (one["zwarn"], one["subtype"]) == (0, "")
    assert (other["redshift"], other["own_redshift"]) == (every["redshift"][at[third]], False)
    assert rows["own_redshift"].sum() == 2
    # Nothing else is another.
    assert rows["key"].tolist() == every["key"].tolist()
    assert [file.fingerprint for file in found.listing.files] == [file.fingerprint for file in listing.files]


def test_a_class_of_ones_own_is_that_of_all_but_those_in_the_table(listing: ReleaseListing) -> None:
    (first, *_) = targets_of(whole(listing).rows)
    rows = whole(
        picked(listing, Wanted(redshifts={"target_id": {first: (0.1, "STAR")}}, own_class="QSO")).listing
    )
    kinds = rows.rows["spectype"]
    assert kinds[rows.rows["target_id"] == first].tolist() == ["STAR"]
    assert set(kinds[rows.rows["target_id"] != first].tolist()) == {"QSO"}
    assert rows.rows["own_class"].all()


def test_what_lacked_a_redshift_is_scored_with_its_own(tmp_path: Path) -> None:
    content = CoaddContent(count=4)
    content.redshift[:] = np.nan
    content.ivar = {arm: np.where(np.arange(4)[:, None] == 2, 0, ivar) for arm, ivar in content.ivar.items()}
    coadd, _ = content.write(tmp_path)
    listing = list_release([coadd])
    before = whole(listing).rows
    assert set(before["status"].tolist()) == {RowStatus.NO_REDSHIFT}
    own = dict.fromkeys(content.targetid[:3].tolist(), (0.3, "GALAXY"))
    rows = whole(picked(listing, Wanted(redshifts={"target_id": own})).listing).rows
    scored, blind, none = RowStatus.SCORED, RowStatus.NO_GOOD_PIXELS, RowStatus.NO_REDSHIFT
    assert rows["status"].tolist() == [scored, scored, blind, none]


def test_redshifts_of_rows_that_are_not_read_are_left_out(listing: ReleaseListing) -> None:
    first, second = targets_of(whole(listing).rows)[:2]
    wanted = Wanted({"target_id": {first: None}}, {"target_id": {first: (0.2, ""), second: (0.3, "")}})
    (file,) = picked(listing, wanted).listing.files
    assert len(file.own_redshifts) == 1
    assert read_spectra(file).rows["redshift"].tolist() == [0.2]


@pytest.mark.parametrize(("survey", "form"), [("sdss", "spec"), ("sdss", "plate")])
def test_sdss_by_plate_date_and_fibre(tmp_path: Path, survey: SurveyName, form: FormName) -> None:
    settings = SimulationSettings(survey, 6, seed=2, form=form)
    listing = list_release([str(simulate_release(settings, tmp_path / "r").path)])
    every = whole(listing).rows
    name = tuple(int(every[column][4]) for column in ("plate", "mjd", "fiber"))
    wanted = Wanted({"plate-mjd-fiber": {name: None}}, {"plate-mjd-fiber": {name: (0.2, "")}})
    rows = whole(picked(listing, wanted).listing).rows
    assert (rows.keys(), rows["redshift"].tolist()) == ([every.keys()[4]], [0.2])


def test_a_damaged_file_is_refused_with_its_reason(listing: ReleaseListing, tmp_path: Path) -> None:
    coadd, _ = CoaddContent(count=4).write(tmp_path)
    (good,) = list_release([coadd]).files
    Path(coadd).write_bytes(Path(coadd).read_bytes()[:5000])
    both = replace(listing, files=(good, *listing.files))
    found = picked(both, Wanted({"target_id": dict.fromkeys(targets_of(whole(listing).rows))}))
    assert [file.url for file in found.listing.refused] == [coadd]
    assert len(found.listing.files) == 3


def test_a_file_that_changed_since_it_was_picked_is_refused(tmp_path: Path) -> None:
    content = CoaddContent(count=4)
    coadd, _ = content.write(tmp_path)
    wanted = Wanted({"target_id": {int(content.targetid[1]): None}})
    (file,) = picked(list_release([coadd]), wanted).listing.files
    CoaddContent(count=5).write(tmp_path)
    with pytest.raises(QuarantineError, match="not what it was when it was listed"):
        read_spectra(file)


def test_a_saved_plan_keeps_them(listing: ReleaseListing) -> None:
    first = targets_of(whole(listing).rows)[0]
    wanted = Wanted({"target_id": {first: None}}, {"target_id": {first: (0.1 + 0.2, "QSO")}}, "GALAXY")
    files = picked(listing, wanted).listing.files
    plan = ScorePlan("root", "layout", 0, 8, (*files, listing.files[1]), ())
    text = json.dumps(plan.to_dict()).encode()
    assert _to_plan(text) == plan
    plain: SourceFile = listing.files[1]
    assert not {"picked", "own_redshifts", "own_class"} & plan.to_dict()["files"][-1].keys()
    assert plain.runs(2, 5) == [(2, 5)]
