"""A run that is killed or interrupted at any moment: what follows continues and ends with the same store."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.store.store import Store
from engine.store.verify import verify
from tests.small_run import environment, small_options, tree_bytes, whyspec


def start(release: Path, store: Path, model: Path, executor: str) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    command = [sys.executable, "-m", "flows.command_line", "run", str(release)]
    return subprocess.Popen(
        [*command, *small_options(store, model, executor)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ledger_entries(store: Path) -> int:
    return sum(1 for kind in ("score", "attribution") for _ in (store / "ledger" / kind).glob("*.json"))


def wait_for_entries(store: Path, count: int, command: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while (
        (not store.exists() or ledger_entries(store) < count)
        and command.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of a run that nobody disturbed."""
    store = tmp_path_factory.mktemp("whole") / "odd.zarr"
    done = whyspec("run", release, *small_options(store, model))
    assert done.returncode == 0, done.stderr
    return tree_bytes(store)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("executor", "entries", "seed"),
    [("serial", 0, 1), ("serial", 2, 2), ("serial", 5, 3), ("ray", 3, 4)],
)
def test_a_killed_run_continues_to_the_same_store(
    executor: str,
    entries: int,
    seed: int,
    release: Path,
    model: Path,
    whole: dict[str, bytes],
    tmp_path: Path,
) -> None:
    store = tmp_path / "odd.zarr"
    with start(release, store, model, executor) as command:
        wait_for_entries(store, entries, command)
        time.sleep(random.Random(seed).uniform(0.0, 0.3))
        os.kill(command.pid, signal.SIGKILL)
        command.communicate(timeout=60)
    if Store.exists(str(store)):
        assert verify(str(store)).ok, "what is in the ledger is there"
    done_before = ledger_entries(store)

    continued = whyspec("run", release, *small_options(store, model, executor))
    assert continued.returncode == 0, continued.stderr
    assert ledger_entries(store) >= done_before
    assert tree_bytes(store) == whole


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_the_same_command_continues(
    release: Path, model: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    store = tmp_path / "odd.zarr"
    with start(release, store, model, "serial") as command:
        wait_for_entries(store, 0, command)
        os.kill(command.pid, signal.SIGINT)
        _, shown = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "the same command continues" in " ".join(shown.split())
    assert "Traceback" not in shown
    assert whyspec("run", release, *small_options(store, model)).returncode == 0
    assert tree_bytes(store) == whole
