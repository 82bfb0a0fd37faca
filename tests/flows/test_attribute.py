"""Explanations by one more method, from what a store holds: exact, safe to kill, verified and repaired."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import whyspec
from engine.query.settings import QuerySettings
from engine.store import objects
from engine.store.checksummed import checksummed
from engine.store.explanation_set import open_set, outlier_numbers
from engine.store.reading import StoreView
from engine.store.store import Store
from engine.store.verify import verify
from flows.attribute import attribute_outliers, plan_attribution
from flows.command_line import run_command
from flows.run.attribution_request import AttributionRequest
from flows.run_release import run_release
from flows.store.attribution_summary import AttributionSummary
from flows.store.repair import repair
from infra.settings import Settings
from models.errors import ConfigurationError, InputError, StoreError, WhyspecError
from tests.small_run import small_request, tree_bytes

SET = "explanations/residual"
SETTINGS = {"windows": "64,512"}
SERIAL = Settings()


def attributed(store: Path, **options: object) -> AttributionSummary:
    """Explain by the residual, the quickest method."""
    asked = AttributionRequest(str(store), "residual", settings=SETTINGS, executor="serial")
    return attribute_outliers(replace(asked, **options), SERIAL)


@pytest.fixture(scope="module")
def waiting(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose outliers wait for an explanation: their spectra are in staging."""
    store = tmp_path_factory.mktemp("waiting") / "odd.zarr"
    run_release(replace(small_request(release, store, model), explain_top=0), SERIAL)
    return store


@pytest.fixture(scope="module")
def complete(waiting: Path, release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same store after a run that explained all; staging is empty."""
    store = tmp_path_factory.mktemp("complete") / "odd.zarr"
    shutil.copytree(waiting, store)
    run_release(small_request(release, store, model), SERIAL)
    return store


@pytest.fixture(scope="module")
def explained(complete: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The complete store with the set ``residual``."""
    store = tmp_path_factory.mktemp("explained") / "odd.zarr"
    shutil.copytree(complete, store)
    summary = attributed(store)
    outliers = StoreView.open(str(store)).outliers
    assert (summary.name, summary.explained, summary.in_set, summary.waiting) == (
        "residual", outliers, outliers, 0,
    )  # fmt: skip
    return store


@pytest.fixture
def store(explained: Path, tmp_path: Path) -> Path:
    """A copy of the store with a set, to change."""
    return shutil.copytree(explained, tmp_path / "odd.zarr")


def test_it_gives_the_bytes_of_a_run_by_that_method(
    explained: Path, release: Path, model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "odd.zarr"
    request = replace(
        small_request(release, run, model),
        method="residual", settings=SETTINGS, preset=None, windows=None, baselines=None,
    )  # fmt: skip
    run_release(request, SERIAL)
    expected, found = tree_bytes(run / "outliers"), tree_bytes(explained / SET / "outliers")
    assert found == expected
    assert StoreView.open(str(explained)).with_explanation("residual").explained


def test_from_staging_it_gives_the_same_bytes(explained: Path, waiting: Path, tmp_path: Path) -> None:
    store = shutil.copytree(waiting, tmp_path / "odd.zarr")
    assert attributed(store).waiting == 0
    assert tree_bytes(store / SET) == tree_bytes(explained / SET)
    # The run's own explanations still need the spectra.
    assert outlier_numbers(Store.open(str(store)).ledger) == {}
    assert tree_bytes(store / "staging") == tree_bytes(waiting / "staging")


def test_the_rest_of_the_store_stays_as_it_was(explained: Path, complete: Path) -> None:
    before, after = tree_bytes(complete), tree_bytes(explained)
    assert {path: after[path] for path in before} == before
    added = set(after) - set(before)
    assert {path.split("/")[0] for path in added} == {"explanations", "ledger"}
    assert {path for path in added if path.startswith("ledger/")} == {"ledger/explanations/residual.json"}


def test_a_repeat_does_nothing(store: Path) -> None:
    before = tree_bytes(store)
    assert attributed(store).explained == 0
    assert attributed(store, method=None, name="residual", settings={}).explained == 0
    assert tree_bytes(store) == before


def test_the_command_and_python_do_the_same(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outliers = StoreView.open(str(store)).outliers
    before = tree_bytes(store)
    command = ["attribute", str(store), "--method", "residual", "--setting", "windows=64,512", "--json"]
    assert run_command(command) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["name"], told["explained"], told["in_set"]) == ("residual", 0, outliers)
    assert "0 other outliers of the store without" in shown.err
    assert "--explanation residual" in shown.err
    summary = whyspec.attribute(str(store), "residual", settings={"windows": (64, 512)}, progress=False)
    assert {**summary.to_dict(), "seconds": 0} == {**told, "seconds": 0}
    assert run_command(["attribute", str(store), "--key", "nowhere", "--name", "residual"]) == 0
    assert "1 name not in the store" in capsys.readouterr().out
    assert tree_bytes(store) == before


def test_a_plan_says_what_it_takes_and_writes_nothing(
    complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = shutil.copytree(complete, tmp_path / "odd.zarr")
    outliers = StoreView.open(str(store)).outliers
    before = tree_bytes(store)
    command = ["attribute", str(store), "--method", "residual", "--plan"]
    assert run_command([*command, "--rates", "explaining=3600", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["outliers"], told["passes"], told["workers"]) == (outliers, 1, 1)
    assert told["hours"] == outliers
    assert told["memory_bytes"] == told["worker_bytes"] > 2**28
    assert told["written_bytes"] > outliers * 10_000
    assert run_command([*command, "--key", "nowhere"]) == 0
    shown = capsys.readouterr().out
    assert "0 outliers" in shown
    assert "Nothing to explain" in shown
    assert "1 name not in the store" in shown
    assert tree_bytes(store) == before
    assert plan_attribution(AttributionRequest(str(store)), SERIAL).method == "repair"
    asked = AttributionRequest(str(store), "residual", executor="ray", workers=3)
    one = plan_attribution(asked, SERIAL)
    attributed(store, selection=QuerySettings(top=1))
    rest = plan_attribution(replace(asked, settings=SETTINGS), SERIAL)
    assert (one.outliers, rest.outliers) == (outliers, outliers - 1)
    assert run_command([*command[:-1], "--rates", "explaining=1"]) == 64
    assert "--rates without --plan" in capsys.readouterr().err


TOO_LITTLE: dict[str, tuple[Settings, str]] = {
    "a spectrum": (Settings(attribution_memory=1000), "does not hold a single spectrum"),
    "a worker": (Settings(memory_per_worker=2**28), "does not fit the memory of its workers"),
}


@pytest.mark.parametrize("what", TOO_LITTLE)
def test_too_little_memory_is_refused_with_numbers_before_work(
    what: str, complete: Path, tmp_path: Path
) -> None:
    settings, said = TOO_LITTLE[what]
    asked = AttributionRequest(str(complete), "saliency", executor="serial")
    before = tree_bytes(complete)
    for work in (attribute_outliers, plan_attribution):
        with pytest.raises(ConfigurationError, match=said) as raised:
            work(asked, settings)
        assert re.search(r"\d", str(raised.value.got))
        assert re.search(r"\d", str(raised.value.allowed))
    assert tree_bytes(complete) == before


MOMENTS = (
    f"{SET}/zarr.json",
    "ledger/explanations/residual.json",
    f"{SET}/ledger/plans/.*",
    f"{SET}/outliers/maps/c/0/0/0",
    f"{SET}/ledger/attribution/00000000.json",
    f"{SET}/outliers/row/c/1",
    f"{SET}/ledger/attribution/0000000[12].json",
)
"""Writes at which one attribution after the other is killed, in their order."""


def test_killed_at_any_write_a_repeat_ends_in_the_same_bytes(
    complete: Path, explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(complete, tmp_path / "odd.zarr")
    for moment in MOMENTS:
        kill_at(moment, store, monkeypatch)
        named = {fault.kind for fault in verify(str(store)).faults}
        assert named <= {"unexpected-object", "uncommitted-objects"}, moment
    attributed(store)
    assert tree_bytes(store) == tree_bytes(explained)
    assert verify(str(store)).ok


def kill_at(moment: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attribution that is killed before it writes an object of such a path into the store."""
    write = objects.write_durably

    def killed(place: Path, data: bytes) -> None:
        if re.fullmatch(moment, str(place.relative_to(store))):
            raise KeyboardInterrupt
        write(place, data)

    with monkeypatch.context() as patch:
        patch.setattr(objects, "write_durably", killed)
        with pytest.raises(KeyboardInterrupt):
            attributed(store)


def test_a_selection_limits_what_is_explained_and_another_adds_to_it(complete: Path, tmp_path: Path) -> None:
    store = shutil.copytree(complete, tmp_path / "odd.zarr")
    outliers = StoreView.open(str(store)).outliers
    first = attributed(store, selection=QuerySettings(top=1))
    assert (first.explained, first.waiting) == (1, outliers - 1)
    again = attributed(store, selection=QuerySettings(top=1))
    assert (again.explained, again.in_set) == (0, 1)
    view = StoreView.open(str(store))
    usual = view.table(["key", "outlier"]).query("not outlier")["key"].iloc[0]
    none = attributed(store, selection=QuerySettings(keys=(usual, "nowhere")))
    assert (none.explained, none.not_outliers, none.absent) == (0, 1, 1)
    rest = attributed(store)
    assert (rest.explained, rest.in_set, rest.waiting) == (outliers - 1, outliers, 0)
    plans = open_set(Store.open(str(store)), "residual").ledger.attribution_plans()
    assert [plan.selection for plan in plans] == ["top 1", ""]
    rows = view.with_explanation("residual").read("outliers/row")
    assert sorted(rows.tolist()) == sorted(view.read("outliers/row").tolist())


def test_staging_stays_while_a_set_has_blocks_to_do(
    waiting: Path, release: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(waiting, tmp_path / "odd.zarr")
    kill_at(f"{SET}/outliers/maps/c/1/0/0", store, monkeypatch)
    run_release(small_request(release, store, model), SERIAL)
    assert tree_bytes(store / "staging").keys() > {"zarr.json"}
    attributed(store)
    assert [path for path in tree_bytes(store / "staging") if path.endswith(".safetensors")] == []
    assert verify(str(store)).ok


LOST: dict[str, tuple[str, ...]] = {
    "an object": (f"{SET}/outliers/maps/c/0/0/0",),
    "a block's entry": (f"{SET}/ledger/attribution/00000001.json",),
    "its plan and an object": (f"{SET}/ledger/plans/*", f"{SET}/outliers/combined/c/1/0"),
    "its entry and a document": ("ledger/explanations/residual.json", f"{SET}/outliers/maps/zarr.json"),
    "a coordinate and the group": (f"{SET}/outliers/window/c/0", f"{SET}/zarr.json"),
    "the group of all sets": ("explanations/zarr.json",),
    "a block of the run, too": ("outliers/flux/c/0/0", f"{SET}/outliers/flux/c/0/0"),
}


@pytest.mark.parametrize("lost", LOST)
def test_what_is_lost_is_named_and_made_again(lost: str, store: Path, explained: Path) -> None:
    for pattern in LOST[lost]:
        for path in store.glob(pattern):
            path.unlink()
    assert not verify(str(store)).ok
    done = repair(str(store), SERIAL)
    assert done.ok, done.after.faults
    assert done.changed == ()
    assert tree_bytes(store) == tree_bytes(explained)


def test_a_damaged_value_is_a_fault_at_its_place(store: Path) -> None:
    path = store / SET / "outliers/place_width/c/0/0"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    (fault,) = verify(str(store)).faults
    assert fault.where == f"{SET}/outliers/place_width/c/0/0"
    assert fault.kind == "wrong-digest"


def test_a_link_in_the_place_of_a_set_is_not_followed(store: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(store / SET, elsewhere)
    (store / SET).symlink_to(elsewhere)
    kept = tree_bytes(elsewhere)
    with pytest.raises(WhyspecError, match="Something else is in the place") as raised:
        attributed(store)
    assert raised.value.where == f"{store}/{SET}"
    with pytest.raises(WhyspecError, match="Something else is in the place"):
        StoreView.open(str(store)).with_explanation("residual").read("outliers/row")
    assert tree_bytes(elsewhere) == kept


DAMAGE: dict[str, tuple[str, str, str]] = {
    "another setting": ("[64, 512]", "[64]", "a digest of other settings or other models"),
    "no such method": (
        '"method": "residual"',
        '"method": "magic"',
        "There is no method of attribution of that name",
    ),
    "settings that are none": ("[64, 512]", '{"a": [0]}', "Window widths must be whole pixels"),
    "another name": ('"name": "residual"', '"name": "other"', "the entry of ledger/explanations/other.json"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_an_entry_that_does_not_fit_is_an_error_and_made_again(
    what: str, store: Path, explained: Path
) -> None:
    old, new, said = DAMAGE[what]
    path = store / "ledger/explanations/residual.json"
    body = json.loads(path.read_bytes())
    text = json.dumps({name: value for name, value in body.items() if name != "checksum"})
    assert old in text
    path.write_bytes(checksummed(json.loads(text.replace(old, new))))
    with pytest.raises(StoreError) as raised:
        StoreView.open(str(store)).with_explanation("residual")
    assert said in str(raised.value.got)
    assert raised.value.where == str(path)
    assert repair(str(store), SERIAL).ok
    assert tree_bytes(store) == tree_bytes(explained)


def test_ray_gives_the_same_bytes(
    complete: Path, explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(complete, tmp_path / "odd.zarr")
    monkeypatch.setattr("flows.run.attribution_preparation.FEW_BLOCKS", 0)
    assert attributed(store, executor="ray", workers=1).waiting == 0
    assert tree_bytes(store) == tree_bytes(explained)


REFUSED: dict[str, tuple[dict[str, object], str, str]] = {
    "other settings": (
        {"settings": {"windows": "64"}},
        "explanations of that name by another method or with other settings",
        "allowed: windows=64,512",
    ),
    "another method": (
        {"method": "saliency", "name": "residual", "settings": {}},
        "explanations of that name by another method or with other settings",
        "Choose another --name",
    ),
    "the name of the runs": ({"name": "default"}, "cannot have that name", "not default"),
    "a name that leads out": ({"name": "../x"}, "cannot have that name", "lower-case letters"),
    "no method": (
        {"method": None, "name": "changes", "settings": {}},
        "not said by which method",
        "--name changes, which is new",
    ),
    "no such method": ({"method": "magic", "settings": {}}, "no method of attribution", "whyspec methods"),
    "no such wavelet": (
        {"method": "wavelet", "settings": {"wavelet": "morlet"}},
        "no discrete wavelet of that name",
        "sym4",
    ),
    "segments above the pixels": (
        {"method": "lime", "settings": {"width": "9000"}},
        "A segment is wider than the spectrum",
        "1 to 7781 pixels",
    ),
    "too many coalitions": (
        {"method": "exact-shapley", "settings": {"width": "64"}},
        "too many segments for all of their coalitions",
        "wider",
    ),
    "more draws than the memory holds": (
        {"method": "segment-gradients", "settings": {"samples": "1000000"}},
        "memory allowed for attribution does not hold what the method draws",
        "segment-gradients draws",
    ),
    "more coalitions than the memory holds": (
        {"method": "lime", "settings": {"samples": "10000000"}},
        "memory allowed for attribution does not hold what the method draws",
        "lime draws",
    ),
    "a seed that no generator takes": (
        {"method": "lime", "settings": {"seed": "4294967296"}},
        "out of range",
        "at most 4294967295",
    ),
    "too many baselines": (
        {"method": "occlusion", "name": "more", "settings": {"baselines": 10_000}},
        "More baselines are asked for",
        "1 to",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_before_work(what: str, store: Path) -> None:
    options, said, also = REFUSED[what]
    before = tree_bytes(store)
    with pytest.raises(ConfigurationError, match=said) as raised:
        attributed(store, **options)
    assert re.search(also, str(raised.value))
    assert tree_bytes(store) == before


def test_what_the_runs_do_is_not_done_twice(store: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="The store's own explanations are made by this method"
    ) as raised:
        attributed(
            store, method="occlusion", settings=StoreView.open(str(store)).configuration.attribution.to_dict()
        )
    assert "--explanation default" in str(raised.value)


def test_a_name_that_is_not_there_tells_those_that_are(store: Path) -> None:
    with pytest.raises(InputError, match="no explanations of that name") as raised:
        StoreView.open(str(store)).with_explanation("lime")
    assert (raised.value.got, raised.value.allowed) == ("lime", "default, residual")
    assert raised.value.exit_code == 66


def test_a_model_that_has_moved_is_named_with_what_to_do(store: Path, model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    model.rename(moved)
    try:
        for method in ("residual", "saliency"):
            with pytest.raises(InputError, match="no longer where it was") as raised:
                attributed(store, method=method, settings={})
            assert (raised.value.got, raised.value.where) == (str(model), str(store))
            assert "--model DIRECTORY" in str(raised.value)
        assert attributed(store, models=(str(moved),)).waiting == 0
    finally:
        moved.rename(model)


def test_a_set_is_removed_by_deleting_its_entry_and_its_folder(store: Path, complete: Path) -> None:
    (store / "ledger/explanations/residual.json").unlink()
    shutil.rmtree(store / SET)
    assert not verify(str(store)).faults
    assert list(whyspec.open(str(store)).explanations) == ["default"]
    assert attributed(store, method="saliency", name="residual", settings={}).method == "saliency"
