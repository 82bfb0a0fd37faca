"""Two runs at once on one store: the second is refused or waits, and nothing is written for a refused one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.store.objects import ObjectTree
from engine.store.run_lock import found_lock, run_lock
from engine.store.store import Store
from flows.command_line import run_command
from flows.run.locked_run import locked_run
from flows.run.tally import RunTally
from infra.settings import Settings
from models.errors import ConfigurationError, InputError, RetryError
from tests.forked_commands import forked_whyspec
from tests.small_run import SPECTRA, environment, small_options, small_request, tree_bytes


def test_a_run_holds_its_store_and_gives_it_back(release: Path, model: Path, tmp_path: Path) -> None:
    request = small_request(release, tmp_path / "odd.zarr", model)
    objects = ObjectTree(request.store)
    tally = RunTally()
    with locked_run(request, Settings(), [tally], tally.state) as prepared:
        assert Store.exists(request.store)
        found = found_lock(objects)
        assert found is not None
        assert found.is_here
        assert found.record.state.files == 4
        with pytest.raises(RetryError, match="Another process is writing to this store"):
            locked_run(request, Settings()).__enter__()
        prepared.open_store.ledger.guard()
    assert found_lock(objects) is None
    assert not [path for path in tree_bytes(tmp_path / "odd.zarr") if "lock" in path]


def test_nothing_is_written_for_a_run_that_is_refused(release: Path, model: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="does not exist"),
        locked_run(small_request(tmp_path / "nothing", tmp_path / "odd.zarr", model), Settings()),
    ):
        pass
    assert not (tmp_path / "odd.zarr").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("important")
    with (
        pytest.raises(InputError, match="is not empty"),
        locked_run(small_request(release, mine, model), Settings()),
    ):
        pass
    assert tree_bytes(tmp_path) == {"mine/thesis.tex": b"important"}


def test_a_held_store_is_told_before_the_release_is_listed(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "odd.zarr"
    with locked_run(small_request(release, store, model), Settings()):
        pass
    with run_lock(str(store), "cluster"), pytest.raises(RetryError, match="'whyspec cluster' of "):
        locked_run(small_request(tmp_path / "nothing", store, model), Settings()).__enter__()
    # A plan and a query write nothing and need nobody's leave.
    with run_lock(str(store), "run"):
        assert run_command(["plan", str(release), "--store", str(store), "--model", str(model)]) == 0
        assert run_command(["query", str(store)]) == 0
        capsys.readouterr()
        assert run_command(["verify", str(store)]) == 0
    assert "Held by 'whyspec run' of " in " ".join(capsys.readouterr().out.split())


def test_clustering_takes_the_lock_too(release: Path, model: Path, tmp_path: Path) -> None:
    store = tmp_path / "odd.zarr"
    with locked_run(small_request(release, store, model), Settings()):
        assert run_command(["cluster", str(store)]) == RetryError.exit_code
    assert run_command(["cluster", str(tmp_path / "nothing")]) == InputError.exit_code
    assert not (tmp_path / "nothing").exists()


def test_a_run_whose_store_was_taken_over_writes_no_more(release: Path, model: Path, tmp_path: Path) -> None:
    with locked_run(small_request(release, tmp_path / "odd.zarr", model), Settings()) as prepared:
        store = prepared.open_store
        found = found_lock(store.objects)
        store.objects.put("ledger/lock/00000002.json", found.data)
        lock = store.ledger.guard.__self__  # type: ignore[attr-defined]
        lock._renewed -= 60
        with pytest.raises(ConfigurationError, match="took this store over"):
            store.ledger.save_plan(prepared.plan.addition)
        assert store.ledger.plans() == ()


@pytest.mark.slow
def test_the_second_command_is_refused_or_waits(release: Path, model: Path, tmp_path: Path) -> None:
    store = tmp_path / "odd.zarr"
    options = small_options(store, model)
    # The first must not end before the second has begun, so what starts the second is there already.
    assert forked_whyspec("methods").returncode == 0
    options[options.index("--windows") + 1], options[options.index("--baselines") + 1] = "16,64,256", "4"
    command = [sys.executable, "-m", "flows.command_line", "run", str(release), *options]
    first = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with first:
        deadline = time.monotonic() + 120
        while not Store.exists(str(store)) and time.monotonic() < deadline:
            time.sleep(0.01)
        second = forked_whyspec("run", release, *options, timeout=200)
        assert second.returncode == 75, second.stderr
        shown = " ".join(second.stderr.split())
        assert "Another process is writing to this store" in shown
        assert f"process {first.pid}, since" in shown
        status = json.loads(forked_whyspec("status", store, "--json").stdout)
        if status["running"] is not None:  # or the first has just given the store back
            assert status["running"]["holder"]["process"] == first.pid
            assert status["running"]["life"] == "alive"
        third = forked_whyspec("run", release, *options, "--wait", "120", timeout=200)
        first.communicate(timeout=100)
    assert (first.returncode, third.returncode) == (0, 0), third.stderr
    done = json.loads(forked_whyspec("status", store, "--json").stdout)
    assert (done["running"], done["complete"], done["spectra"]) == (None, True, SPECTRA)
