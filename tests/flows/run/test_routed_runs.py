"""Runs with two models: each spectrum is scored and explained by the model of its class, wherever it runs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.attribution.explainer import Explainer
from engine.query.query import QuerySettings, query
from engine.simulation.release import SimulationSettings, simulate_release
from engine.spectra.normalisation import normalise
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.scorer import Scorer
from engine.store.ledger import Ledger
from engine.store.reading import StoreView
from engine.store.status import status_of
from engine.store.store import Store
from engine.store.verify import verify
from engine.surveys.reading import read_spectra
from flows.command_line import run_command
from flows.run.preparation import prepare
from flows.run.request import RunRequest, RunSummary
from flows.run_release import run_release
from flows.store.repair import repair
from infra.settings import Settings
from models.errors import ConfigurationError
from models.row_status import RowStatus
from models.weights import load_model, save_model
from tests.conftest import random_model
from tests.small_run import small_request, tree_bytes

SPECTRA = 60
SNR = (4.0, 40.0)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty spectra in four files: galaxies, quasars, stars and sky fibres."""
    settings = SimulationSettings(
        "desi", SPECTRA, 0.2, 6, spectra_per_file=15, quasar_fraction=0.2, star_fraction=0.3, resolution=False
    )
    return simulate_release(settings, tmp_path_factory.mktemp("mixed") / "release").path


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a model for stars with another number of latents and a narrow range of S/N."""
    model, directory = random_model(0.002), tmp_path_factory.mktemp("stars")
    model.card = replace(
        model.card,
        name="stars",
        classes=("STAR",),
        redshift_min=-0.002,
        snr_min=SNR[0],
        snr_max=SNR[1],
    )
    save_model(model, directory)
    return directory


@pytest.fixture(scope="module")
def done(mixed: Path, model: Path, stars: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """The release run with both models; ``done.store`` is not to be changed."""
    return run_release(both(mixed, tmp_path_factory.mktemp("done") / "odd.zarr", model, stars), Settings())


def both(release: Path, store: Path, model: Path, stars: Path) -> RunRequest:
    # Outliers of either class.
    return replace(small_request(release, store, model), models=(str(model), str(stars)), threshold=0.1)


def test_each_row_has_the_model_of_its_class(done: RunSummary, model: Path, stars: Path) -> None:
    view = StoreView.open(done.store)
    table = view.table()
    fine = ~table["status"].isin([RowStatus.SKY_FIBRE, RowStatus.BAD_FIBRE, RowStatus.NO_TARGET])
    for spectype, number in (("GALAXY", 0), ("STAR", 1), ("QSO", -1)):
        of_class = table[fine & (table["spectype"] == spectype)]
        assert len(of_class) > 5
        assert (of_class["model"] == number).all(), spectype
    assert (table.loc[~fine, "model"] == -1).all()
    unmodelled = table["status"] == RowStatus.CLASS_NOT_MODELLED
    assert (unmodelled == (fine & (table["spectype"] == "QSO"))).all()
    # Scored by these very models: star and galaxy models differ in latents, too.
    latents = view.read("scores/latents")
    loaded = [load_model(str(path)) for path in (model, stars)]
    assert loaded[0].card.latents != loaded[1].card.latents
    for number, each in enumerate(loaded):
        chosen = (table["model"] == number) & (table["status"] == RowStatus.SCORED)
        assert chosen.sum() > 5
        assert np.isfinite(latents[chosen, : each.card.latents]).all()
        assert np.isnan(latents[chosen, each.card.latents :]).all()
        row = table[chosen].iloc[0]
        file = next(
            file for plan in _ledger(done).plans() for file in plan.files if file.url == row["source"]
        )
        spectra = read_spectra(file, int(row["source_row"]), int(row["source_row"]) + 1)
        direct = Scorer(each).score(normalise(spectra, each.card, ()), np.array([0]))
        assert row["score"] == pytest.approx(float(direct.score[0]), rel=1e-4, abs=1e-3)
    assert verify(done.store).ok


def _ledger(done: RunSummary) -> Ledger:
    return Store.open(done.store).ledger


def test_each_outlier_is_explained_by_its_model(done: RunSummary, model: Path, stars: Path) -> None:
    view = StoreView.open(done.store)
    table = view.outliers_table(["model"])
    assert done.explained == len(table) == done.outliers
    settings = view.configuration.attribution
    for number, path in enumerate((model, stars)):
        place = int(table.index[table["model"] == number][0])
        stored = view.outlier(place)
        selected = SelectedSpectra(
            np.array([0]),
            np.array([stored.redshift]),
            stored.flux[None],
            stored.ivar[None],
            np.zeros(1, np.int8),
        )
        direct = Explainer(load_model(str(path)), settings).explain(selected)
        np.testing.assert_allclose(stored.combined, direct.combined[0], rtol=1e-2)
        assert stored.places == direct.one(0).places


def test_a_run_tells_how_the_classes_fared(done: RunSummary, stars: Path) -> None:
    table = StoreView.open(done.store).table()
    told = {each.spectype: each for each in done.classes}
    assert list(told) == ["GALAXY", "QSO", "STAR"]
    assert (told["QSO"].model, told["QSO"].scored) == ("", 0)
    assert told["QSO"].spectra == (table["status"] == RowStatus.CLASS_NOT_MODELLED).sum()
    star = table[table["model"] == 1]
    scored = star["status"] == RowStatus.SCORED
    outside = ~star["snr"].between(*SNR)
    assert told["STAR"].model == str(stars)
    assert told["STAR"].spectra == len(star)
    assert told["STAR"].scored == scored.sum()
    assert 0 < told["STAR"].snr_outside == (scored & outside).sum()
    assert told["GALAXY"].redshift_outside == (table["status"] == RowStatus.REDSHIFT_OUT_OF_RANGE).sum()
    texts = [warning.text for warning in done.warnings]
    assert f"QSO {told['QSO'].spectra}" in texts[0]
    assert "whyspec train" in texts[0]
    assert "--classes all" in texts[0]
    assert any(f"{told['STAR'].snr_outside} of {told['STAR'].scored} scored STAR" in text for text in texts)
    held = status_of(done.store).classes
    assert [(each.spectype, each.spectra, each.scored) for each in held] == [
        (each.spectype, each.spectra, each.scored) for each in done.classes
    ]


def test_the_answer_of_a_query_names_the_model(done: RunSummary, model: Path, stars: Path) -> None:
    found = query(done.store, QuerySettings())
    names = {"GALAXY": str(model), "STAR": str(stars)}
    assert found["model"].tolist() == [names[spectype] for spectype in found["spectype"]]
    assert set(found["model"]) == set(names.values())
    assert found["tail_probability"].is_monotonic_increasing


@pytest.mark.usefixtures("ray")
def test_ray_and_serial_leave_the_same_store(
    done: RunSummary, mixed: Path, model: Path, stars: Path, tmp_path: Path
) -> None:
    request = replace(both(mixed, tmp_path / "ray.zarr", model, stars), executor="ray", workers=2)
    pooled = run_release(request, Settings())
    assert replace(pooled, store="", seconds=0.0) == replace(done, store="", seconds=0.0)
    assert tree_bytes(tmp_path / "ray.zarr") == tree_bytes(Path(done.store))


def test_the_same_models_in_another_order_are_the_stores(
    done: RunSummary, mixed: Path, model: Path, stars: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(done.store, tmp_path / "odd.zarr")
    request = both(mixed, store, model, stars)
    assert not run_release(replace(request, models=(str(stars), str(model))), Settings()).did_something
    assert not run_release(replace(request, models=None), Settings()).did_something
    wider = replace(request, models=(str(stars), str(model)), classes=("STAR", "GALAXY"))
    assert not run_release(wider, Settings()).did_something


def test_other_models_than_the_stores_are_refused(
    done: RunSummary, mixed: Path, model: Path, stars: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(done.store, tmp_path / "odd.zarr")
    before = tree_bytes(store)
    request = both(mixed, store, model, stars)
    for changed in ({"models": (str(model),)}, {"classes": ("STAR",), "models": (str(stars),)}):
        with pytest.raises(ConfigurationError, match="another configuration") as caught:
            prepare(replace(request, **changed), Settings())
        assert f"{stars} (" in caught.value.got
    assert tree_bytes(store) == before


def test_models_that_do_not_go_together_are_refused(
    mixed: Path, model: Path, stars: Path, tmp_path: Path
) -> None:
    request = both(mixed, tmp_path / "odd.zarr", model, stars)
    twin = shutil.copytree(model, tmp_path / "twin")
    other = load_model(str(twin))
    other.card = replace(other.card, name="twin", classes=("GALAXY", "QSO"))
    save_model(other, twin)
    with pytest.raises(ConfigurationError, match=r"are both for GALAXY(.|\n)*one model for each class"):
        prepare(replace(request, models=(str(model), str(twin))), Settings())
    with pytest.raises(ConfigurationError, match=r"nothing to score(.|\n)*--classes STAR"):
        prepare(replace(request, classes=("STAR",)), Settings())
    with pytest.raises(ConfigurationError, match=r"got: QSO(.|\n)*allowed: GALAXY, STAR"):
        prepare(replace(request, classes=("STAR", "QSO")), Settings())
    with pytest.raises(ConfigurationError, match=r"another instrument(.|\n)*allowed: desi-"):
        prepare(replace(request, models=(str(model), "sdss-galaxy")), Settings())


def test_old_and_new_in_two_runs_are_one_run_over_both(
    done: RunSummary, mixed: Path, model: Path, stars: Path, tmp_path: Path
) -> None:
    files = sorted(map(str, mixed.rglob("coadd-*.fits")))
    request = both(mixed, tmp_path / "two.zarr", model, stars)
    parts = [run_release(replace(request, release=tuple(files[:stop])), Settings()) for stop in (2, 4)]
    whole = {each.spectype: each for each in done.classes}
    for spectype, each in whole.items():
        assert each.spectra == sum(
            one.spectra for part in parts for one in part.classes if one.spectype == spectype
        )
    tables = [
        StoreView.open(url).table().set_index("key").sort_index() for url in (done.store, request.store)
    ]
    for name in ("model", "status", "outlier"):
        assert tables[0][name].equals(tables[1][name]), name


def test_damage_is_repaired_by_the_models_of_the_rows(
    done: RunSummary, stars: Path, model: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(done.store, tmp_path / "odd.zarr")
    whole = tree_bytes(store)
    moved = [shutil.copytree(path, tmp_path / f"moved-{path.name}") for path in (stars, model)]
    for path in ("outliers/maps/c/0/0/0", "scores/latents/c/1/0", "scores/model/zarr.json"):
        (store / path).unlink()
    repaired = repair(str(store), Settings(), models=tuple(map(str, moved)))
    assert (repaired.ok, repaired.changed) == (True, ())
    assert tree_bytes(store) == whole
    with pytest.raises(ConfigurationError, match="The store was not made with this model"):
        repair(str(store), Settings(), models=("sdss-galaxy",))


def test_the_command_takes_models_by_commas_and_by_repetition(
    mixed: Path, model: Path, stars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["plan", str(mixed), "--store", str(tmp_path / "s.zarr"), "--threshold", "0.5"]
    for models in (["--model", f"{model},{stars}"], ["--model", str(model), "--model", str(stars)]):
        assert run_command([*asked, *models]) == 0
        shown = capsys.readouterr().out
        assert "for GALAXY" in shown
        assert "for STAR" in shown
