"""Commands of ``whyspec`` as processes of their own that start in milliseconds, made to be killed.

Importing torch and zarr takes two seconds. A server process imports them once, without
starting a thread, and forks for every command. A command can be told to kill itself in the middle of
what it does to the disk: the hook that Python calls before it opens, renames or removes a file sends
SIGKILL, so nothing is cleaned up, and the same number gives the same moment.
"""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.forkserver
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.small_run import environment

PRELOADED = (
    "tests.forked_commands",
    "flows.command_line",
    "flows.commands.release",
    "flows.run_release",
    "flows.run.progress",
    "flows.run.summary_tables",
    "flows.cluster",
    "engine.run.serial",
    "engine.run.ray_pool",
    "engine.run.worker",
    "engine.store.hierarchy",
    "engine.attribution.occlusion.inverse_occlusion",
)

_CHANGES = ("os.rename", "os.remove", "os.mkdir")


@dataclass(frozen=True)
class Death:
    """The moment of a change to the disk at which a command kills itself.

    Attributes
    ----------
    number : it dies just before its ``number``-th change, from 0, among those that match.
    pattern : regular expression that is searched in ``<what> <path>``, where what is open, rename,
        remove or mkdir, and the path is relative to the store.
    signal : what it sends itself.
    """

    number: int
    pattern: str = ""
    signal: signal.Signals = signal.SIGKILL


@dataclass(frozen=True)
class Command:
    """A command that runs or ran, with the file that has what it showed."""

    process: ForkServerProcess
    shown: Path
    changes: Path

    def wait(self, seconds: float = 120) -> int:
        """Its exit status, negative for a signal."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"no end within {seconds} s:\n{self.shown.read_text()}")
        return self.process.exitcode

    def kill(self) -> int:
        """End it at once; its exit status, 0 if it was done already."""
        self.process.kill()
        self.process.join(60)
        assert self.process.exitcode is not None
        return self.process.exitcode

    def made_changes(self) -> list[str]:
        """What it did to the store on the disk, in order, up to its end."""
        return self.changes.read_text().splitlines()


def begin_server(*more: str) -> None:
    """Start the process that forks, with the environment that commands have in tests; once is enough.

    It imports ``more`` as well, unless it runs already.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([*PRELOADED, *more])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            patch.setenv(name, value)
        multiprocessing.forkserver.ensure_running()


def start(
    *tokens: object,
    store: Path,
    scratch: Path,
    death: Death | None = None,
    before: Callable[[], None] | None = None,
    **extra: str,
) -> Command:
    """Begin ``whyspec <tokens>``, whose store, or model, is at ``store``; files about it go to ``scratch``.

    Its process calls ``before``, a function of a module, before anything else.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    number = len(list(scratch.glob("*.shown")))
    shown, changes = scratch / f"{number}.shown", scratch / f"{number}.changes"
    for path in (shown, changes):
        path.touch()
    process = multiprocessing.get_context("forkserver").Process(
        target=_command,
        args=([str(token) for token in tokens], str(store), shown, changes, death, before, extra),
    )
    process.start()
    return Command(process, shown, changes)


def forked_whyspec(*tokens: object, timeout: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
    """As :func:`tests.small_run.whyspec`, but for its start: the process has imported what it needs."""
    begin_server()
    with tempfile.TemporaryDirectory() as directory:
        streams = Path(directory, "stdout"), Path(directory, "stderr")
        command = [str(token) for token in tokens]
        process = multiprocessing.get_context("forkserver").Process(
            target=_answer, args=(command, environment(**extra), *streams)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout, *(path.read_bytes() for path in streams))
        shown, told = (path.read_text(encoding="utf-8") for path in streams)
        return subprocess.CompletedProcess(command, process.exitcode, shown, told)


def _answer(tokens: list[str], variables: dict[str, str], stdout: Path, stderr: Path) -> None:
    os.environ.clear()
    os.environ.update(variables)
    for number, path in enumerate((stdout, stderr), start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.argv = ["whyspec", *tokens]
    from flows.command_line import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _command(
    tokens: list[str],
    store: str,
    shown: Path,
    changes: Path,
    death: Death | None,
    before: Callable[[], None] | None,
    extra: dict[str, str],
) -> None:
    os.environ.update(extra)
    # A shell that starts tests in the background has them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if before is not None:
        before()
    screen = os.open(shown, os.O_WRONLY | os.O_APPEND)
    os.dup2(screen, 1)
    os.dup2(screen, 2)
    sys.addaudithook(_watch(store, os.open(changes, os.O_WRONLY | os.O_APPEND), death))
    from flows.command_line import run_command

    status = 1
    try:
        status = run_command(tokens)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    sys.exit(status)


def _watch(store: str, record: int, death: Death | None) -> Callable[[str, tuple[object, ...]], None]:
    """The hook: writes down every change below ``store``, and sends the signal when it is time."""
    below, pattern, numbers = f"{store}/", re.compile(death.pattern if death else ""), itertools.count()

    def about_to(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event in _CHANGES:
            path = arguments[0]
        else:
            return
        if not str(path).startswith(below):
            return
        change = f"{event.removeprefix('os.')} {str(path).removeprefix(below)}"
        os.write(record, f"{change}\n".encode())
        if death is not None and pattern.search(change) and next(numbers) == death.number:
            os.kill(os.getpid(), death.signal)

    return about_to
