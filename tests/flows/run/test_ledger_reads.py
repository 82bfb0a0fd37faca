"""Every command reads an entry of the ledger once at most, however often it needs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from flows.bench.ledger_reads import LedgerReads
from flows.command_line import run_command
from tests.forked_commands import forked_whyspec
from tests.small_run import PER_FILE, publish_sums, small_options, small_release


def run_whole(release: Path, store: Path, model: Path) -> None:
    """A run in a process of its own."""
    done = forked_whyspec("run", release, *small_options(store, model), timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def made(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A release, and the store of two runs over it: a file was replaced and one vanished in between."""
    folder = tmp_path_factory.mktemp("read")
    here, store = folder / "release", folder / "odd.zarr"
    shutil.copytree(release, here)
    run_whole(here, store, model)
    first, *_, last = sorted(here.rglob("coadd-*.fits"))
    other = next(small_release(folder / "other", PER_FILE, seed=77).rglob("coadd-*.fits")).parent
    for kind in ("coadd", "redrock"):
        shutil.copyfile(next(other.glob(f"{kind}-*.fits")), next(first.parent.glob(f"{kind}-*.fits")))
    publish_sums(first.parent)
    shutil.rmtree(last.parent)
    run_whole(here, store, model)
    cluster_store(str(store), ClusteringSettings(clusters=2, resamples=2))
    return here, store


READ_BY_RUNS = ("plans/*", "score/*", "attribution/*", "superseded/*", "gone/*")
READ_BY_READERS = ("score/*", "attribution/*", "superseded/*", "gone/*", "clusters/*")
SCORE_PLANS = "plans/" + "[0-9a-f]" * 32

COMMANDS: dict[str, tuple[Callable[[Path, Path, Path], list[str]], tuple[str, ...]]] = {
    "run": (lambda here, store, model: ["run", str(here), *small_options(store, model)], READ_BY_RUNS),
    "plan": (
        lambda here, store, model: ["plan", str(here), "--store", str(store), "--model", str(model)],
        READ_BY_RUNS,
    ),
    "status": (lambda _, store, __: ["status", str(store)], READ_BY_RUNS),
    # The run has written a catalogue: of finished blocks a query needs names alone.
    "query": (lambda _, store, __: ["query", str(store)], ("superseded/*", "gone/*", "clusters/*")),
    "report": (
        lambda _, store, __: ["report", str(store), "-o", str(store.with_name("odd.html")), "--top", "1"],
        (*READ_BY_READERS, SCORE_PLANS),
    ),
    "match": (
        lambda here, store, _: ["match", str(store), str(here / "truth.ecsv")],
        ("superseded/*", "gone/*"),
    ),
    "export": (
        lambda _, store, __: ["export", str(store), "--votable", str(store.with_name("odd.vot"))],
        ("superseded/*", "gone/*", "clusters/*"),
    ),
    # A selection is a query, of the ledger that was read already; nothing has this redshift.
    "attribute": (
        lambda _, store, model: [
            "attribute",
            str(store),
            "--query",
            "z > 90",
            "--method",
            "residual",
            "--model",
            str(model),
        ],
        READ_BY_RUNS,
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_every_entry_that_it_needs_once(
    command: str, made: tuple[Path, Path], model: Path
) -> None:
    release, store = made
    tokens, patterns = COMMANDS[command]
    found = {pattern: list((store / "ledger").glob(f"{pattern}.json")) for pattern in patterns}
    assert all(found.values())
    with LedgerReads(store) as reads:
        assert run_command(tokens(release, store, model)) == 0
    assert reads.counts == {str(path.relative_to(store)): 1 for paths in found.values() for path in paths}
