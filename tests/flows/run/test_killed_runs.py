"""A run that is killed or interrupted at any moment: what follows continues and ends with the same store.

Commands are real processes that get a real SIGKILL: from outside at a moment of the clock, or just
before a change that they make to the disk (:mod:`tests.forked_commands`). Every test names its seeds;
a failure shows the moments and what was on the disk.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from engine.store.evidence import Fault
from engine.store.reading import StoreView
from engine.store.store import Store
from engine.store.verify import verify
from tests.forked_commands import Command, Death, begin_server, start
from tests.ray_nodes import RayNodes, ray_nodes
from tests.servers.prefect import PrefectServer
from tests.small_run import PER_FILE, SPECTRA, publish_sums, small_options, small_release, tree_bytes
from tests.synthetic_store import synthetic_store

pytestmark = pytest.mark.slow

AT_ONCE = 3
"""Seeds that a test tries at the same time."""

STORE = "<store>"

KILLED = -signal.SIGKILL

# What a killed run may leave besides what is in the ledger: told by verify, healed by running again.
HARMLESS = {"uncommitted-objects"}


@dataclass(frozen=True)
class Undisturbed:
    """A command that nobody disturbed, and its store.

    Attributes
    ----------
    tokens : of the command, without the store.
    before : the store that it began with, or None.
    after : files of the store that it left.
    changes : what it did to the disk.
    seconds : how long it took.
    environment : of the command.
    """

    tokens: tuple[object, ...]
    before: Path | None
    after: dict[str, bytes]
    changes: list[str]
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, store: Path, death: Death | None = None) -> Command:
        """The same command on another store."""
        tokens = [store if token == STORE else token for token in self.tokens]
        return start(*tokens, store=store, scratch=store.parent, death=death, **self.environment)

    def moments(self, pattern: str) -> int:
        """How many changes match."""
        return sum(re.search(pattern, change) is not None for change in self.changes)


def undisturbed(tokens: Sequence[object], directory: Path, before: Path | None = None) -> Undisturbed:
    """Run a command, whose store is at :data:`STORE`, in peace."""
    store = directory / "odd.zarr"
    if before is not None:
        shutil.copytree(before, store)
    plain = Undisturbed(tuple(tokens), before, {}, [], 0.0)
    begun = time.monotonic()
    command = plain.start(store)
    assert command.wait() == 0, command.shown.read_text()
    seconds = time.monotonic() - begun
    assert verify(str(store)).ok
    return Undisturbed(tuple(tokens), before, tree_bytes(store), command.made_changes(), seconds)


@pytest.fixture(scope="module", autouse=True)
def forking() -> None:
    begin_server()


@pytest.fixture(scope="module")
def run(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The first run over the small release."""
    directory = tmp_path_factory.mktemp("run")
    tokens = ["run", release, *small_options(STORE, model)]
    first, second = (undisturbed(tokens, directory / name) for name in ("first", "second"))
    assert first.after == second.after
    keys = StoreView.open(str(directory / "first" / "odd.zarr")).table(["key"])["key"]
    assert len(keys) == keys.nunique() == SPECTRA
    return second


@pytest.fixture(scope="module")
def second_run(model: Path, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run over a release of which one file has changed and one is new since the store was made."""
    directory = tmp_path_factory.mktemp("second-run")
    changing = directory / "release"
    shutil.copytree(release, changing)
    late = max(changing.rglob("coadd-*.fits")).parent
    shutil.move(late, directory / "late")
    tokens = ["run", changing, *small_options(STORE, model)]
    undisturbed(tokens, directory / "before")
    shutil.move(directory / "late", late)
    replace_file(min(changing.rglob("coadd-*.fits")), directory / "other")
    return undisturbed(tokens, directory / "after", directory / "before" / "odd.zarr")


@pytest.fixture(scope="module")
def clustering(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A clustering that replaces one of other settings."""
    directory = tmp_path_factory.mktemp("clustering")
    store = directory / "before" / "odd.zarr"
    synthetic_store(store)
    earlier = start("cluster", store, "--clusters", 2, store=store, scratch=store.parent)
    assert earlier.wait() == 0, earlier.shown.read_text()
    return undisturbed(["cluster", STORE, "--clusters", 3], directory / "after", store)


@pytest.fixture(scope="module")
def attribution(run: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """An attribution by one more method, of the store of the first run."""
    directory = tmp_path_factory.mktemp("attribution")
    store = directory / "before" / "odd.zarr"
    for path, content in run.after.items():
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_bytes(content)
    tokens = ["attribute", STORE, "--method", "residual", "--setting", "windows=64,512"]
    return undisturbed([*tokens, "--executor", "serial"], directory / "after", store)


def replace_file(target: Path, scratch: Path, seed: int = 77) -> None:
    """Put other spectra, as many, in the place of a coadd and its redshifts."""
    source = min(small_release(scratch, PER_FILE, seed=seed).rglob("coadd-*.fits"))
    shutil.copyfile(source, target)
    shutil.copyfile(next(source.parent.glob("redrock-*.fits")), next(target.parent.glob("redrock-*.fits")))
    publish_sums(target.parent)


# What is asserted of a store after its writer was killed, and after another has ended the work.


@dataclass
class Ordeal:
    """A store whose writer is killed again and again.

    Attributes
    ----------
    of : the command. store : its store.
    story : moments and exit statuses so far, for people.
    hits : kills that came while the command ran.
    """

    of: Undisturbed
    store: Path
    story: list[str]
    hits: int = 0

    def kill_at_change(self, death: Death) -> None:
        """Run the command until it kills itself."""
        command = self.of.start(self.store, death)
        self._note(command.wait(), f"before change {death.number} of '{death.pattern}'", command)

    def kill_after(self, seconds: float) -> None:
        """Run the command and kill it from outside."""
        command = self.of.start(self.store)
        time.sleep(seconds)
        self._note(command.kill(), f"after {seconds:.3f} s", command)

    def _note(self, status: int, moment: str, command: Command) -> None:
        assert status in (KILLED, 0), self._told(command.shown.read_text())
        changes = command.made_changes()
        self.story.append(f"{moment}: status {status}, {len(changes)} changes, last {changes[-1:]}")
        self.hits += status == KILLED
        self._check_readable()

    def _check_readable(self) -> None:
        if not Store.exists(str(self.store)):
            return
        report = verify(str(self.store))
        faults = [fault for fault in report.faults if not is_harmless(fault)]
        assert not faults, self._told(str(faults))
        wrong = [
            path
            for path, content in tree_bytes(self.store / "ledger").items()
            if not path.endswith(".partial")
            and not path.startswith("lock/")  # the killed command's
            and content != self.of.after.get(f"ledger/{path}", self._before(f"ledger/{path}"))
        ]
        assert not wrong, self._told(f"ledger entries unlike those of an undisturbed run: {wrong}")
        # What readers are shown is whole.
        keys = StoreView.open(str(self.store)).table(["key"])["key"]
        assert (keys != "").all(), self._told(str(keys))
        assert keys.is_unique, self._told(str(keys))

    def _before(self, path: str) -> bytes | None:
        if self.of.before is None or not (self.of.before / path).is_file():
            return None
        return (self.of.before / path).read_bytes()

    def finish(self) -> None:
        """Run the command to its end and compare."""
        command = self.of.start(self.store)
        assert command.wait() == 0, self._told(command.shown.read_text())
        self.compare()

    def compare(self) -> None:
        """The store is that of an undisturbed run."""
        found = tree_bytes(self.store)
        differing = sorted(
            path for path in found.keys() | self.of.after.keys() if found.get(path) != self.of.after.get(path)
        )
        assert not differing, self._told(f"unlike an undisturbed run: {differing}")
        assert verify(str(self.store)).ok, self._told(str(verify(str(self.store)).faults))

    def _told(self, what: str) -> str:
        there = [
            path for path in tree_bytes(self.store) if "/c/" in path or "ledger" in path or "staging" in path
        ]
        return "\n".join([*self.story, what, "on the disk:", *there])


def is_harmless(fault: Fault) -> bool:
    # Flags of superseded rows are written before the entry that records them.
    if fault.where.startswith("clusters/"):
        return fault.kind == "unexpected-object"
    return fault.kind in HARMLESS or fault.where.startswith("spectra/superseded/c/")


def ordeal(of: Undisturbed, directory: Path, seed: int) -> Ordeal:
    store = directory / str(seed) / "odd.zarr"
    store.parent.mkdir()
    if of.before is not None:
        shutil.copytree(of.before, store)
    return Ordeal(of, store, [f"seed {seed}"])


def all_at_once(trial: Callable[[int], Ordeal], seeds: Sequence[int]) -> int:
    """Number of kills that hit, of the ordeals of all seeds."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return sum(each.hits for each in threads.map(trial, seeds))


def batches(first: int, count: int, size: int = 6) -> list[object]:
    return [
        pytest.param(
            range(start, min(start + size, first + count)),
            id=f"seeds-{start}-{min(start + size, first + count) - 1}",
        )
        for start in range(first, first + count, size)
    ]


@pytest.mark.parametrize("seeds", batches(100, 3))
def test_killed_by_the_clock(seeds: range, run: Undisturbed, tmp_path: Path) -> None:
    def trial(seed: int) -> Ordeal:
        moments, each = random.Random(seed), ordeal(run, tmp_path, seed)
        for _ in range(moments.choice((1, 2))):
            each.kill_after(moments.uniform(0.05, 0.8) * run.seconds)
        each.finish()
        return each

    # On a machine that has become faster since it was measured some come too late.
    assert all_at_once(trial, seeds) >= len(seeds) // 2


@pytest.mark.parametrize("seeds", batches(200, 6))
def test_killed_at_any_change_to_the_disk_once_or_more(
    seeds: range, run: Undisturbed, tmp_path: Path
) -> None:
    def trial(seed: int) -> Ordeal:
        moments, each = random.Random(seed), ordeal(run, tmp_path, seed)
        left = len(run.changes)
        for _ in range(moments.choice((1, 2, 3))):
            number = moments.randrange(left * 9 // 10)
            each.kill_at_change(Death(number))
            left = max(left - number, 20)
        each.finish()
        return each

    assert all_at_once(trial, seeds) >= len(seeds)


PHASES = {
    "creates the store": r"^(open|rename) .*zarr\.json",
    "writes the root": r"^(open|rename) \.zarr\.json",
    "plans": r"ledger/plans/",
    "makes room": r"rename (spectra|scores)/[a-z_]+/\.zarr\.json",
    "writes a shard": r"rename (spectra|scores|outliers)/.*/c/",
    "stages outliers": r"(open|rename) staging/",
    "begins a ledger entry": r"open ledger/(score|attribution)/",
    "ends a ledger entry": r"rename ledger/(score|attribution)/",
    "clears staging": r"^remove staging/",
}


WORK = r"rename (scores|outliers)/.*/c/|(open|rename) (staging|ledger/(score|attribution))/"
"""What blocks do to the disk."""


@pytest.mark.parametrize("phase", PHASES)
def test_killed_while_it(phase: str, run: Undisturbed, tmp_path: Path) -> None:
    moments = run.moments(PHASES[phase])
    assert moments > 0

    each = ordeal(run, tmp_path, 0)
    each.kill_at_change(Death(random.Random(f"{phase} 0").randrange(moments), PHASES[phase]))
    assert each.hits == 1, each.story
    each.finish()


@pytest.mark.parametrize("phase", [r"superseded", r""], ids=["marks superseded rows", "does anything"])
def test_a_second_run_over_a_changed_release_killed_while_it(
    phase: str, second_run: Undisturbed, tmp_path: Path
) -> None:
    moments = second_run.moments(phase)
    assert moments > 0

    def trial(seed: int) -> Ordeal:
        each = ordeal(second_run, tmp_path, seed)
        each.kill_at_change(Death(random.Random(f"{phase} {seed}").randrange(moments * 9 // 10), phase))
        assert each.hits == 1, each.story
        each.finish()
        return each

    assert all_at_once(trial, range(2)) == 2


def test_a_clustering_killed_while_it_replaces_another(clustering: Undisturbed, tmp_path: Path) -> None:
    moments = len(clustering.changes)

    def trial(seed: int) -> Ordeal:
        each = ordeal(clustering, tmp_path, seed)
        each.kill_at_change(Death(random.Random(seed).randrange(moments)))
        assert each.hits == 1, each.story
        each.finish()
        return each

    assert all_at_once(trial, range(300, 303)) == 3


def test_an_attribution_killed_at_any_change_to_the_disk(attribution: Undisturbed, tmp_path: Path) -> None:
    moments = len(attribution.changes)

    def trial(seed: int) -> Ordeal:
        each = ordeal(attribution, tmp_path, seed)
        each.kill_at_change(Death(random.Random(seed).randrange(moments * 9 // 10)))
        assert each.hits == 1, each.story
        each.finish()
        return each

    assert all_at_once(trial, range(400, 403)) == 3


def check_ctrl_c(of: Undisturbed, store: Path) -> None:
    command = of.start(store, Death(1, PHASES["begins a ledger entry"], signal.SIGINT))
    assert command.wait() == 130
    shown = command.shown.read_text()
    assert "the same command continues" in " ".join(shown.split())
    assert "Traceback" not in shown
    Ordeal(of, store, []).finish()


def test_ctrl_c_ends_with_130_and_the_same_command_continues(run: Undisturbed, tmp_path: Path) -> None:
    check_ctrl_c(run, tmp_path / "odd.zarr")


# As flow runs of a user's Prefect server.


@pytest.fixture(scope="module")
def shown(run: Undisturbed, prefect_server: PrefectServer) -> Undisturbed:
    """The first run over the small release, its blocks in Prefect tasks."""
    return replace(run, environment={"PREFECT_API_URL": prefect_server.api_url})


def test_killed_while_it_shows_itself_on_a_server(shown: Undisturbed, tmp_path: Path) -> None:
    def trial(seed: int) -> Ordeal:
        moments, each = random.Random(seed), ordeal(shown, tmp_path, seed)
        each.kill_at_change(Death(moments.randrange(shown.moments(WORK)), WORK))
        assert each.hits == 1, each.story
        each.finish()
        return each

    assert all_at_once(trial, range(500, 502)) == 2


def test_ctrl_c_of_a_flow_run(shown: Undisturbed, tmp_path: Path) -> None:
    check_ctrl_c(shown, tmp_path / "odd.zarr")


# On Ray: many small blocks, on a cluster that the runs join, so that only actors are started for each.


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    with ray_nodes(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def pooled(
    release: Path, model: Path, nodes: RayNodes, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    """A run on Ray of the small release in many blocks, and what the serial executor leaves of it."""
    directory = tmp_path_factory.mktemp("pooled")
    tokens = ["run", release, *small_options(STORE, model, "serial", 6, 2)]
    serial = undisturbed(tokens, directory)
    on_ray = ["run", release, *small_options(STORE, model, "ray", 6, 2), "--workers", 2]
    return replace(serial, tokens=tuple(on_ray), environment={"WHYSPEC_RAY_ADDRESS": nodes.address})


ENTRY = r"open ledger/(score|attribution)/"


def wait_for_entries(store: Path, count: int, command: Command) -> None:
    deadline = time.monotonic() + 100
    while entries(store) < count and command.process.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.02)


def entries(store: Path) -> int:
    return sum(1 for kind in ("score", "attribution") for _ in (store / "ledger" / kind).glob("*.json"))


def wait_for_half_a_shard(store: Path, command: Command) -> None:
    """Until a shard is being written, or for half a second."""
    deadline = time.monotonic() + 0.5
    while not any(store.glob("*/*/c/.*.partial")) and time.monotonic() < deadline:
        if command.process.exitcode is not None:
            return
        time.sleep(0.001)


def test_actors_killed_again_and_again(pooled: Undisturbed, nodes: RayNodes, tmp_path: Path) -> None:
    """One of them, every one, and one again."""
    moments, each = random.Random(410), ordeal(pooled, tmp_path, 410)
    command = pooled.start(each.store)
    rounds = zip(
        sorted(moments.sample(range(pooled.moments(ENTRY) - 1), 3)), (False, True, False), strict=True
    )
    for after, every_one in rounds:
        wait_for_entries(each.store, after, command)
        actors = nodes.actors()
        wait_for_half_a_shard(each.store, command)
        if command.process.exitcode is None and actors:
            for victim in actors if every_one else [moments.choice(actors)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.kill()
                    each.hits += 1
            each.story.append(f"of {len(actors)} actors after {after} entries, hits so far: {each.hits}")
    assert command.wait() == 0, (each.story, command.shown.read_text())
    assert each.hits >= 3, each.story
    each.compare()


def lose_a_node(workers: int, each: Ordeal, nodes: RayNodes) -> None:
    """Run to the end with so many workers, of which a node dies when three blocks are done."""
    command = replace(each.of, tokens=(*each.of.tokens[:-1], workers)).start(each.store)
    wait_for_entries(each.store, 3, command)
    assert nodes.kill_a_working_node()
    assert command.process.exitcode is None
    assert command.wait(100) == 0, command.shown.read_text()
    each.compare()


def test_the_driver_of_actors_killed_then_a_node_with_one_to_spare(
    pooled: Undisturbed, nodes: RayNodes, tmp_path: Path
) -> None:
    nodes.complete()
    each = ordeal(pooled, tmp_path, 400)
    each.kill_at_change(Death(1, ENTRY))
    assert each.hits == 1
    lose_a_node(2, each, nodes)


def test_a_node_killed_with_none_to_spare(pooled: Undisturbed, nodes: RayNodes, tmp_path: Path) -> None:
    nodes.complete()
    lose_a_node(3, ordeal(pooled, tmp_path, 3), nodes)
