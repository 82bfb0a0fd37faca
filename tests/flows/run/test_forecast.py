"""What a plan says of a run that has not begun: hours, bytes, outliers, memory, and what to train."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.attribution.occlusion.settings import PRESETS, OcclusionSettings
from engine.run.coverage import wilson
from engine.simulation.release import SimulationSettings, simulate_release
from engine.store.blocks import BlockResult
from engine.store.snapshot import Snapshot
from flows.command_line import app
from flows.run.forecast import COORDINATOR_BYTES, Forecast, forecast, rates_of, sample_of, stored_bytes
from flows.run.preparation import PreparedRun, prepare
from flows.run.rates import Rates, default_rates, given_rates
from flows.run.request import RunRequest
from infra.settings import Settings
from models.errors import ConfigurationError
from models.interval import Interval
from models.model_files import read_model
from tests.small_run import small_request

SPECTRA = 60
RATES = Rates(reading=0.001, scoring=0.01, explaining=10.0, basis="given", note="given")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Galaxies, quasars and stars in four files."""
    settings = SimulationSettings(
        "desi", SPECTRA, 0.0, 6, spectra_per_file=15, quasar_fraction=0.2, star_fraction=0.3, resolution=False
    )
    return simulate_release(settings, tmp_path_factory.mktemp("mixed") / "release").path


@pytest.fixture(scope="module")
def prepared(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedRun:
    store = str(tmp_path_factory.mktemp("none") / "s.zarr")
    return prepare(RunRequest((str(mixed),), store, models=("desi-galaxy",), threshold=0.05), Settings())


@pytest.fixture(scope="module")
def expected(prepared: PreparedRun) -> Callable[..., Forecast]:
    sample, unreadable = sample_of(prepared)

    def of(prepared: PreparedRun = prepared, rates: Rates = RATES, workers: int = 1) -> Forecast:
        return forecast(prepared, sample, unreadable, rates, workers)

    return of


def test_hours_follow_from_rates_and_are_shared_by_the_workers(expected: Callable[..., Forecast]) -> None:
    alone, shared = expected(), expected(workers=8)
    assert alone.coverage is not None
    assert alone.coverage.whole
    scored = alone.coverage.carried.value * SPECTRA
    assert alone.scored == Interval(*3 * (pytest.approx(scored),))
    assert 20 < scored < SPECTRA / 2 + 10
    assert alone.reading_hours == pytest.approx(SPECTRA * 0.001 / 3600)
    assert alone.scoring_hours.value == pytest.approx(scored * 0.01 / 3600)
    assert alone.explaining_hours.value == pytest.approx(0.05 * scored * 10 / 3600)
    assert alone.hours.value == pytest.approx(8 * shared.hours.value)
    assert alone.outlier_basis == "threshold"
    assert shared.memory_bytes == 8 * shared.worker_bytes + COORDINATOR_BYTES


def test_what_waits_of_earlier_runs_is_explained_too(
    prepared: PreparedRun, expected: Callable[..., Forecast]
) -> None:
    before, after = expected(), expected(replace(prepared, waiting_outliers=7))
    assert after.outliers == before.outliers
    assert after.explaining_hours.value - before.explaining_hours.value == pytest.approx(7 * 10 / 3600)
    of_one = stored_bytes("attribution", prepared.configuration)
    assert after.written_bytes.value - before.written_bytes.value == pytest.approx(7 * of_one)


def test_outliers_are_expected_by_the_store_then_by_what_was_measured_then_by_the_threshold(
    prepared: PreparedRun, expected: Callable[..., Forecast]
) -> None:
    measured = replace(RATES, basis="measured", scored=200, outliers=30)
    found = expected(rates=measured)
    assert found.outlier_basis == "measured"
    assert found.outliers.high == pytest.approx(wilson(0.15, 200).high * found.scored.high)
    done = BlockResult("score", 0, "", 1500, (("scored", 1200),), tuple(range(360)), (), ())
    known = expected(replace(prepared, snapshot=Snapshot(scored={0: done})), measured)
    assert known.outlier_basis == "store"
    assert known.outliers.value == pytest.approx(0.3 * known.scored.value)
    few = replace(done, status_counts=(("scored", 999),))
    assert expected(replace(prepared, snapshot=Snapshot(scored={0: few}))).outlier_basis == "threshold"


def test_commands_to_train_name_what_no_model_carries_and_can_be_given(
    prepared: PreparedRun, expected: Callable[..., Forecast], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert expected().advice == ()  # a few spectra train nothing
    monkeypatch.setattr("flows.run.forecast._ENOUGH_TO_TRAIN", 5)
    advice = {command[command.index("--population") + 1]: command for command in expected().advice}
    assert set(advice) == {"quasar", "star"}
    for command in advice.values():
        function, bound, _ = app.parse_args(list(command), exit_on_error=False, print_error=False)
        assert function.__name__ == "train"
        low, high = bound.arguments["redshift"]
        assert low < high
    assert [float(number) for number in advice["star"][-2:]] == pytest.approx([0, 0], abs=0.005)


def test_rates_are_given_by_name_or_by_a_saved_plan(prepared: PreparedRun, tmp_path: Path) -> None:
    usual = default_rates(prepared.cards, prepared.configuration.attribution)
    assert usual.basis == "default"
    some = given_rates("scoring=0.02, explaining=3", usual)
    assert (some.reading, some.scoring, some.explaining) == (usual.reading, 0.02, 3.0)
    assert (some.basis, some.note) == ("given", "given; reading of another machine")
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"forecast": {"rates": asdict(RATES)}}))
    assert given_rates(str(file), usual) == RATES
    file.write_text(json.dumps({"explaining": 2}))
    assert rates_of(prepared, (), str(file)).explaining == 2.0


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("speed=3", "speed"),
        ("scoring=fast", "scoring=fast"),
        ("scoring=0", "scoring=0"),
        ("scoring=inf", "scoring=inf"),
        ("no-such-file.json", "no-such-file.json"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_rates_that_say_nothing_are_refused(
    given: str, got: str, prepared: PreparedRun, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"The rates were not understood") as caught:
        rates_of(prepared, (), given)
    assert got in caught.value.got
    assert "reading=…,scoring=…,explaining=…" in caught.value.allowed
    if given.startswith("["):
        (tmp_path / "list.json").write_text(given)
        with pytest.raises(ConfigurationError):
            rates_of(prepared, (), str(tmp_path / "list.json"))
    with pytest.raises(ConfigurationError, match="either given or measured"):
        rates_of(prepared, (), given, measure=True)


def test_usual_rates_grow_with_the_passes_of_an_explanation() -> None:
    cards = [read_model("desi-galaxy").card]
    paper = OcclusionSettings.from_dict({**OcclusionSettings().to_dict(), **PRESETS["paper"]})
    assert default_rates(cards, paper).explaining > 1.5 * default_rates(cards, OcclusionSettings()).explaining


def test_rates_are_measured_on_the_release(release: Path, model: Path, tmp_path: Path) -> None:
    request = small_request(release, tmp_path / "s.zarr", model)
    prepared = prepare(request, Settings())
    sample, unreadable = sample_of(prepared)
    found = rates_of(prepared, sample, measure=True)
    assert found.basis == "measured"
    assert 0 < found.reading < 1
    assert 0 < found.scoring < 1
    assert 0 < found.explaining < 60
    expected = forecast(prepared, sample, unreadable, found, 1)
    assert found.scored == pytest.approx(expected.scored.value, abs=3)  # some lack pixels
    assert found.outliers > 0
    assert not (tmp_path / "s.zarr").exists()
    # Where no model carries anything there is nothing to measure with.
    models = tuple(replace(each, redshifts=(8.0, 9.0)) for each in prepared.configuration.models)
    elsewhere = replace(prepared, configuration=replace(prepared.configuration, models=models))
    nothing = rates_of(elsewhere, sample, measure=True)
    assert nothing.basis == "default"


def test_a_damaged_file_leaves_the_usual_rates(release: Path, model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "release"))
    prepared = prepare(small_request(copy, tmp_path / "s.zarr", model), Settings())
    sample, _ = sample_of(prepared)
    for path in copy.rglob("coadd-*.fits"):
        path.write_bytes(path.read_bytes()[:40_000])
    found = rates_of(prepared, sample, measure=True)
    assert found.basis == "default"
    assert "nothing was measured, as a file cannot be read: " in found.note
