"""Readings of a ledger: how often its objects are opened, counted where Python opens files."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.store.run_lock import LOCKS


class LedgerReads:
    """Counts how often this process opens a ledger's objects to read them, in one ``with`` block.

    The store is on a local disk. Locks are left out: they change, so they are read again and again.

    Attributes
    ----------
    counts : openings of each object that was opened, by its path in the store.
    """

    def __init__(self, store: Path) -> None:
        self._ledger = f"{store.resolve() / 'ledger'}/"
        self._locks = f"{store.resolve() / LOCKS}/"
        self._active = False
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> LedgerReads:
        self._active = True
        sys.addaudithook(self._on_event)  # it stays for ever, silent after the block
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._active = False

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active or event != "open":
            return
        path, mode = str(arguments[0]), str(arguments[1])
        if mode.startswith("r") and path.startswith(self._ledger) and not path.startswith(self._locks):
            self.counts["ledger/" + path.removeprefix(self._ledger)] += 1
