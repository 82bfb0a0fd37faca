"""Run lock: one writer at a time on a store, on any file system. A holder that died blocks nobody.

A lock is an object ``ledger/lock/<generation>.json`` that its holder renews every few seconds, and when its
stage changes. The highest generation counts. A process takes the store by creating the next generation; of
several processes, one succeeds. So a lock is never replaced, and that of a dead holder need not be deleted
first. After creating it, the process looks again: the lock that it took for dead must not have changed,
and no higher generation may be there; else it withdraws.

A holder on this machine is alive as long as its process is. Of a holder elsewhere only the heartbeat is
known. The waiting process measures it by its own clock, because clocks of machines differ: a lock that
has not changed for :attr:`LockTiming.stale` seconds is of a holder that died.

A holder may be delayed for longer than that (a machine that slept, a network that was gone). It then
finds its own lock deleted or a higher one before it commits anything more, and stops.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from engine.store.lock_holder import LockHolder, LockRecord
from engine.store.objects import ObjectTree
from engine.store.run_state import RunState
from models.errors import ConfigurationError, ErrorKind, RetryError, StoreError, WhyspecError

LOCKS = "ledger/lock"
"""Folder of the locks in a store."""


@dataclass(frozen=True, slots=True)
class LockTiming:
    """Seconds between two renewals, and seconds without one after which a holder elsewhere is dead."""

    beat: float = 5.0
    stale: float = 60.0


TIMING = LockTiming()


@dataclass(frozen=True, slots=True)
class FoundLock:
    """A lock as it was found. ``record`` is ``None`` where it cannot be read."""

    generation: int
    data: bytes
    record: LockRecord | None

    @property
    def is_here(self) -> bool:
        """Whether its holder is a living process of this machine."""
        return self.record is not None and self.record.holder.life == "alive"

    @property
    def is_gone(self) -> bool:
        """Whether its holder was a process of this machine that has ended."""
        return self.record is not None and self.record.holder.life == "gone"

    def __str__(self) -> str:
        return str(self.record.holder) if self.record is not None else "a holder whose lock is damaged"


def found_lock(objects: ObjectTree) -> FoundLock | None:
    """The lock of the highest generation; ``None`` where nobody holds the store.

    Raises
    ------
    RetryError : the store did not answer.
    """
    while True:
        generations = _generations(objects)
        if not generations:
            return None
        with contextlib.suppress(FileNotFoundError):  # released in between: look again
            data = _content(objects, lock_path(max(generations)))
            return FoundLock(max(generations), data, _record(objects, max(generations), data))


def lock_path(generation: int) -> str:
    """Path of a lock."""
    return f"{LOCKS}/{generation:08d}.json"


class RunLock:
    """A lock that this process holds. Made by :func:`run_lock`. Its methods may be called from any thread."""

    def __init__(
        self,
        objects: ObjectTree,
        holder: LockHolder,
        state: Callable[[], RunState] = RunState,
        timing: LockTiming = TIMING,
    ) -> None:
        self.holder = holder
        self._objects = objects
        self._state = state
        self._timing = timing
        self._generation = 0
        self._beat = 0
        self._renewed = _clock()
        self._stage = ""
        self._lost: ConfigurationError | None = None
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_often, name="run-lock", daemon=True)

    def take(self, wait: float, on_wait: Callable[[str], None]) -> None:
        """Take the store, waiting for its holder up to ``wait`` seconds; then keep the lock renewed.

        Whether a holder elsewhere lives is found out by watching its lock: that may take up to
        ``timing.stale`` seconds, whatever ``wait`` is.

        Raises
        ------
        RetryError : somebody else holds the store.
        """
        begun = watched_since = _clock()
        watched: FoundLock | None = None
        while True:
            found = found_lock(self._objects)
            if found is None:
                if self._create(1, None):
                    break
                continue
            lives = found.is_here
            if watched is None or watched.data != found.data:
                lives |= watched is not None
                watched, watched_since = found, _clock()
            dead = found.is_gone or (not lives and _clock() - watched_since >= self._timing.stale)
            if dead:
                if self._create(found.generation + 1, found):
                    break
                continue
            if lives and _clock() - begun >= wait:
                raise _in_use(self._objects.url, found)
            on_wait(f"wait for {found}" if lives or wait else f"see whether it still lives: {found}")
            time.sleep(self._timing.beat / 5)
        on_wait("")
        self._thread.start()

    def check(self) -> None:
        """Check, before anything is written, that this process still holds the store.

        Raises
        ------
        ConfigurationError : another process took it over.
        RetryError : the store did not answer.
        """
        if self._lost is not None:
            raise self._lost
        if _clock() - self._renewed > 2 * self._timing.beat:
            self._renew()

    def release(self) -> None:
        """Give the store back. If the lock cannot be deleted, others find that its holder is dead."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._lost is None:
            with contextlib.suppress(WhyspecError):
                self._objects.delete([lock_path(self._generation)])

    def _create(self, generation: int, dead: FoundLock | None) -> bool:
        path = lock_path(generation)
        state = self._state()
        mine = LockRecord(self.holder, 0, state).to_bytes()
        created = self._objects.create(path, mine)
        if not created and self._get(generation) != mine:  # else the answer to our own creation was lost
            _pause(self._timing)
            return False
        others = [each for each in _generations(self._objects) if each != generation]
        lost = any(each > generation for each in others)
        if dead is not None:
            lost |= self._get(dead.generation) not in (dead.data, b"")
        if lost:
            self._objects.delete([path])
            _pause(self._timing)
            return False
        self._generation, self._renewed, self._stage = generation, _clock(), state.stage
        self._objects.delete(lock_path(each) for each in others if each < generation)
        return True

    def _renew(self) -> None:
        with self._mutex:
            path = lock_path(self._generation)
            present = self._get(self._generation)
            record = _record(self._objects, self._generation, present)
            higher = max(_generations(self._objects), default=0) > self._generation
            if higher or record is None or record.holder.run != self.holder.run:
                self._lost = _taken_over(self._objects.url, self.holder)
                raise self._lost
            self._beat += 1
            state = self._state()
            self._objects.put(path, LockRecord(self.holder, self._beat, state).to_bytes())
            self._renewed, self._stage = _clock(), state.stage

    def _renew_often(self) -> None:
        tried = _clock()
        while not self._stop.wait(self._timing.beat / 20):
            if _clock() - tried < self._timing.beat and self._state().stage == self._stage:
                continue
            tried = _clock()
            try:
                self._renew()
            except ConfigurationError:
                return
            except WhyspecError:
                continue  # the next beat, or the next commit, tries again

    def _get(self, generation: int) -> bytes:
        try:
            return _content(self._objects, lock_path(generation))
        except FileNotFoundError:
            return b""


@contextmanager
def run_lock(
    url: str,
    command: str,
    *,
    wait: float = 0.0,
    state: Callable[[], RunState] = RunState,
    on_wait: Callable[[str], None] = lambda _: None,
    timing: LockTiming = TIMING,
) -> Iterator[RunLock]:
    """Hold the store at ``url`` while the block runs, whatever ends it.

    Parameters
    ----------
    command : what this process does, for others to read.
    wait : seconds to wait for another holder to end.
    state : asked at every renewal how far this process is.
    on_wait : called with what is waited for, empty when it goes on.

    Raises
    ------
    RetryError : another process holds the store, or it did not answer.
    InputError : the store cannot be written.
    """
    lock = RunLock(ObjectTree(url), LockHolder.this_process(command), state, timing)
    lock.take(wait, on_wait)
    try:
        yield lock
    finally:
        lock.release()


def generation_of(path: str) -> int | None:
    """The generation of the lock of that path; ``None`` for what cannot be a lock."""
    name = path.removeprefix(f"{LOCKS}/").removesuffix(".json")
    if not name.isdecimal() or len(name) > _DIGITS or lock_path(int(name)) != path:
        return None
    return int(name)


_DIGITS = 16
"""Of the largest generation: enough for a lock in every microsecond of a century."""


def _generations(objects: ObjectTree) -> list[int]:
    found = (generation_of(path) for path in objects.sizes(LOCKS))
    return [each for each in found if each is not None]


def _content(objects: ObjectTree, path: str) -> bytes:
    """The bytes of a lock; none where something else is in its place: nobody holds the store by that."""
    try:
        return objects.get(path)
    except StoreError:
        return b""


def _record(objects: ObjectTree, generation: int, data: bytes) -> LockRecord | None:
    try:
        return LockRecord.from_bytes(data, f"{objects.url}/{lock_path(generation)}")
    except StoreError:
        return None


def _clock() -> float:
    """Seconds that also count while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _pause(timing: LockTiming) -> None:
    """Processes that tried at the same time try again at different times."""
    time.sleep(random.SystemRandom().uniform(0.0, timing.beat / 5))


def _in_use(url: str, found: FoundLock) -> RetryError:
    return RetryError(
        "Another process is writing to this store.",
        where=url,
        got=found,
        allowed="one run at a time on a store",
        remedy="Wait for it to end ('whyspec status' shows how far it is), or run with --wait SECONDS.",
        kind=ErrorKind.STORE_IN_USE,
    )


def _taken_over(url: str, holder: LockHolder) -> ConfigurationError:
    return ConfigurationError(
        "Another process took this store over, because this one gave no sign of life for too long.",
        where=url,
        got=f"the lock of run {holder.run} is gone",
        allowed="one run at a time on a store",
        remedy="Nothing is lost: the other run continues the work. 'whyspec status' shows it.",
        kind=ErrorKind.LOCK_LOST,
    )
