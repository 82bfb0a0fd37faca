"""The shipped models on real survey files: what a run says of every file and every row, exactly.

Statuses are facts of the files and may never move. Scores are facts of the shipped weights:
docs/real-spectra.md has their numbers, here stands what must hold of any weights that ship.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from engine.evaluation.rates import area_under_curve
from engine.query.query import QuerySettings, query
from engine.store.reading import StoreView
from engine.store.verify import verify
from flows.run.request import RunRequest, RunSummary
from flows.run_release import run_release
from infra.settings import Settings
from models.causes.names import REALMS, Realm
from models.row_status import RowStatus

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

THRESHOLD = 0.01


def run(
    release: Path,
    store: Path,
    classes: tuple[str, ...] | None = None,
    models: tuple[str, ...] | None = None,
    explain_top: int | None = None,
) -> RunSummary:
    """Score everything with the shipped models; explain as cheaply as can be, all or so many."""
    request = RunRequest(
        release=(str(release),),
        store=str(store),
        classes=classes,
        models=models,
        threshold=THRESHOLD,
        preset="reference-code",
        windows=(1024,),
        baselines=1,
        executor="serial",
        explain_top=explain_top,
    )
    return run_release(request, Settings())


def rows_of(summary: RunSummary) -> pd.DataFrame:
    """All rows by the name of their file, with the label of their status."""
    table = StoreView.open(summary.store).table()
    table["file"] = table["source"].str.rpartition("/")[2]
    table["label"] = [RowStatus(int(code)).label for code in table["status"]]
    return table.set_index("file")


@pytest.fixture(scope="module")
def sdss(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """Every real SDSS file, each by the shipped model of its class and redshift."""
    return run(real_data / "real" / "sdss", tmp_path_factory.mktemp("sdss") / "odd.zarr")


@pytest.fixture(scope="module")
def manifest(real_data: Path) -> pd.DataFrame:
    """What is known of the files by other means, by file name."""
    table = pd.read_csv(real_data / "real" / "manifest.csv")
    table = table[table["file"].str.startswith("sdss/")]
    return table.set_index(table["file"].str.rpartition("/")[2])


def test_every_sdss_file_is_accounted_for(sdss: RunSummary, manifest: pd.DataFrame) -> None:
    assert (sdss.files_new, sdss.spectra, sdss.quarantined) == (129, 129, ())
    assert dict(sdss.status_counts) == {"scored": 96, "sky_fibre": 31, "too_few_good_pixels": 2}
    rows = rows_of(sdss)
    assert rows["key"].is_unique
    assert set(rows.index) == set(manifest.index)
    assert verify(sdss.store).ok


def test_a_sky_fibre_is_one_whatever_class_the_pipeline_gave_it(
    sdss: RunSummary, manifest: pd.DataFrame
) -> None:
    known = manifest.index[manifest["label"] == "sky fibre"]
    assert Counter(manifest.loc[known, "pipeline_class"]) == {"STAR": 15, "QSO": 11, "GALAXY": 5}
    rows = rows_of(sdss)
    assert set(rows.index[rows["label"] == "sky_fibre"]) == set(known)


def test_every_spectrum_is_scored_by_a_model_of_the_class_that_the_pipeline_gave_it(
    sdss: RunSummary, manifest: pd.DataFrame
) -> None:
    rows = rows_of(sdss)
    scored = rows[rows["label"] == "scored"]
    models = StoreView.open(sdss.store).configuration.models
    by = Counter(zip(scored["spectype"], (models[number].name for number in scored["model"]), strict=True))
    assert by == {
        ("GALAXY", "sdss-galaxy"): 31,
        ("QSO", "sdss-quasar"): 47,
        ("QSO", "sdss-quasar-distant"): 15,
        ("STAR", "sdss-star"): 3,
    }
    assert (scored["spectype"] == manifest.loc[scored.index, "pipeline_class"]).all()
    assert scored["tail_probability"].between(0, 1, inclusive="right").all()
    # Two distant quasars have no light in the window that divides them.
    assert set(rows[rows["label"] == "too_few_good_pixels"]["spectype"]) == {"QSO"}


def test_quasars_of_displaced_lines_are_odd_among_quasars(sdss: RunSummary, manifest: pd.DataFrame) -> None:
    rows = rows_of(sdss)
    quasars = rows[(rows["label"] == "scored") & (rows["spectype"] == "QSO")]
    displaced = manifest.loc[quasars.index, "label"].str.contains("asymmetric-line")
    assert displaced.sum() == 29
    assert quasars.loc[displaced, "outlier"].mean() > 0.5
    # Real quasars are odder than simulated ones, yet most are no outliers.
    assert quasars.loc[~displaced, "outlier"].mean() < 0.4


def test_outliers_are_those_at_the_threshold_and_all_are_explained(sdss: RunSummary) -> None:
    rows = rows_of(sdss)
    assert rows["outlier"].sum() == (rows["tail_probability"] <= THRESHOLD).sum() == sdss.outliers
    assert sdss.explained == sdss.store_outliers == sdss.outliers


def test_most_ordinary_galaxies_are_not_flagged(sdss: RunSummary, manifest: pd.DataFrame) -> None:
    ordinary = rows_of(sdss).loc[manifest.index[manifest["label"] == "ordinary galaxy"]]
    assert len(ordinary) == 29
    causes = query(sdss.store, QuerySettings()).set_index("key")["cause"]
    flagged = [REALMS.get(causes[key], Realm.SOURCE) for key in ordinary.loc[ordinary["outlier"], "key"]]
    odd = flagged.count(Realm.SOURCE)
    # Far more than one in a hundred: residuals of OH lines and spikes are real, and a score that sees small
    # oddities sees how bright real galaxies differ from simulated ones, too (docs/decisions/54).
    assert odd <= 6
    assert len(flagged) <= 12


def test_the_most_extreme_emission_lines_are_odder_than_every_ordinary_galaxy(
    sdss: RunSummary, manifest: pd.DataFrame
) -> None:
    rows = rows_of(sdss)
    extreme = rows.loc["SHOC579_SDSS_dr18.fits"]
    assert extreme["outlier"]
    assert extreme["score"] > rows.loc[manifest.index[manifest["label"] == "ordinary galaxy"], "score"].max()


def test_a_model_of_galaxies_that_is_asked_of_all_classes_finds_quasars_odd(
    real_data: Path, manifest: pd.DataFrame, sdss: RunSummary, tmp_path: Path
) -> None:
    release, store = real_data / "real" / "sdss", tmp_path / "all.zarr"
    everything = run(release, store, classes=(), models=("sdss-galaxy",), explain_top=0)
    assert dict(everything.status_counts) == {"scored": 74, "sky_fibre": 31, "redshift_out_of_range": 24}
    rows, galaxies = rows_of(everything), rows_of(sdss)
    refused = rows[rows["label"] == "redshift_out_of_range"]["redshift"]
    assert not refused.between(-0.002, 0.65).any()
    # Who else is scored does not change a galaxy's tail probability.
    scored = galaxies.index[(galaxies["label"] == "scored") & (galaxies["spectype"] == "GALAXY")]
    pd.testing.assert_series_equal(
        rows.loc[scored, "tail_probability"], galaxies.loc[scored, "tail_probability"], rtol=1e-4
    )
    quasars = rows[(rows["label"] == "scored") & (rows["spectype"] == "QSO")]
    assert len(quasars) == 40
    assert quasars["outlier"].mean() > 0.8
    # Before all, they are odder than galaxies that a person called ordinary.
    ordinary = rows.loc[manifest.index[manifest["label"] == "ordinary galaxy"]]
    assert area_under_curve(quasars["score"].to_numpy(), ordinary["score"].to_numpy()) > 0.95


def test_every_desi_row_and_file_is_accounted_for(real_data: Path, tmp_path: Path) -> None:
    desi = run(real_data / "real" / "desi", tmp_path / "odd.zarr")
    assert (desi.files_new, desi.spectra) == (1, 1)
    assert dict(desi.status_counts) == {"scored": 1}
    assert [(file.url.rpartition("/")[2], file.kind) for file in desi.quarantined] == [
        ("coadd-1-80693-thru20210204.fits", "missing-redshifts"),
        ("coadd-sv3-dark-26065.fits", "missing-redshifts"),
        ("redrock-test.fits", "not-a-coadd"),
        ("spectra-sv3-dark-26065.fits", "not-a-coadd"),
    ]
    rows = rows_of(desi).reset_index().set_index(["file", "source_row"])["label"]
    assert rows.loc["coadd-4-80613-thru20210324.fits"].tolist() == ["scored"]


def test_a_release_of_sky_fibres_has_no_outliers(real_data: Path, tmp_path: Path) -> None:
    sky = run(real_data / "sky", tmp_path / "odd.zarr", classes=())
    assert (sky.spectra, sky.status_counts) == (91, (("sky_fibre", 91),))
    assert (sky.outliers, sky.store_outliers, sky.quarantined) == (0, 0, ())
