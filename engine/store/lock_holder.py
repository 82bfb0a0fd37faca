"""Holder of a store's lock: a process, described so that others can find out whether it is alive."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from engine.store.checksummed import checksummed, read_checksummed
from engine.store.run_state import RunState
from models.errors import ErrorKind, StoreError
from models.json_text import first_problem

Life = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A process that writes to a store.

    Attributes
    ----------
    run : id of the run, made up when it took the store.
    command : what it does: ``"run"``, ``"attribute"``, ``"cluster"``, ``"repair"``.
    host, process, user : where and who, for people.
    since : when it took the store, UTC, ISO 8601, by its own clock.
    place : the boot and the process namespace to which ``process`` belongs; empty where the system
        does not give them. Containers may share a host name, but not a namespace.
    started : when the process started, in clock ticks after the boot. Numbers of processes are reused,
        this pair is not.
    """

    run: str
    command: str
    host: str
    process: int
    user: str
    since: str
    place: str
    started: int

    @classmethod
    def this_process(cls, command: str) -> LockHolder:
        """The current process, with a new run id."""
        return cls(
            run=secrets.token_hex(8),
            command=command,
            host=socket.gethostname(),
            process=os.getpid(),
            user=_user(),
            since=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            place=_place(),
            started=_started(os.getpid()) or 0,
        )

    @property
    def life(self) -> Life:
        """Whether the process is alive; unknown for a process of another machine."""
        if not self.place or self.place != _place():
            return "unknown"
        started = _started(self.process)
        if started is None and _is_hidden(self.process):
            return "unknown"
        return "alive" if started == self.started else "gone"

    def __str__(self) -> str:
        who = f"{self.user} on {self.host}, process {self.process}"
        return f"'whyspec {self.command}' of {who}, since {self.since} (run {self.run})"


@dataclass(frozen=True, slots=True)
class LockRecord:
    """The content of a lock: its holder, how often it was renewed, and the state of the run."""

    holder: LockHolder
    beat: int
    state: RunState

    def to_bytes(self) -> bytes:
        """Checksummed JSON; :meth:`from_bytes` is its inverse."""
        return checksummed({"holder": asdict(self.holder), "beat": self.beat, "state": self.state.to_dict()})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> LockRecord:
        """The record that :meth:`to_bytes` wrote.

        Raises
        ------
        StoreError : the object is damaged.
        """
        body = read_checksummed(data, where, DAMAGED)
        try:
            return _RECORD.validate_json(body, strict=True)
        except ValidationError as error:
            raise StoreError(
                "The lock of the store does not say who holds it.",
                where=where,
                got=first_problem(error),
                allowed="the record that whyspec wrote",
                remedy=DAMAGED,
                kind=ErrorKind.LOCK_DAMAGED,
            ) from error


_RECORD = TypeAdapter(LockRecord)

DAMAGED = "Delete this object if no run is on; the next run takes it for one of a run that died."
"""Remedy for a lock that cannot be read."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's number without a name
        return str(os.getuid())


def _place() -> str:
    """The boot and namespace on Linux; empty elsewhere, where only the heartbeat counts."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _is_hidden(process: int) -> bool:
    """Whether a process is there but hidden (``/proc`` mounted with ``hidepid``)."""
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return False


def _started(process: int) -> int | None:
    """Start time of a process of this machine in clock ticks after the boot; ``None`` if there is none.

    Field 22 of ``/proc/PID/stat`` (man 5 proc); the command's name before it may contain any character.
    A zombie (state Z) has ended: it only waits for its parent.
    """
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after = text.rpartition(")")[2].split()
    return None if after[0] in ("Z", "X") else int(after[19])
