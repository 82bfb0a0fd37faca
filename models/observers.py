"""Observers: small objects that see what happens in something long, e.g. progress bars, logs, tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

_Seen = TypeVar("_Seen", contravariant=True)
_Event = TypeVar("_Event")


class Observer(Protocol[_Seen]):
    """Sees events, one call at a time. What it does not care about it ignores."""

    def on_event(self, event: _Seen, /) -> None:
        """Something happened."""
        ...


def report(observers: Iterable[Observer[_Event]], event: _Event) -> None:
    """Show ``event`` to each of the observers, in their order."""
    for observer in observers:
        observer.on_event(event)
