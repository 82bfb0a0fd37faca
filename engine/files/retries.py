"""Retries: a call is made again, with growing pauses, while it fails in a way that may pass."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from models.errors import RetryError

_T = TypeVar("_T")
# Not the module's own generator: threads of a run must not move the state that a user has seeded.
_RANDOM = random.SystemRandom()


def growing_pauses(first: float, times: int) -> Iterator[float]:
    """``times`` pauses in seconds: the first is ``first``, each doubles, and each is cut by up to a half.

    The random cut spreads clients that failed together, as in "Exponential Backoff And Jitter" (Brooker, AWS
    Architecture Blog, 2015).
    """
    for number in range(times):
        yield first * 2.0**number * _RANDOM.uniform(0.5, 1.0)


def may_pass(error: Exception) -> bool:
    """Whether an error is of the class that says so."""
    return isinstance(error, RetryError)


def with_retries(
    call: Callable[[], _T],
    pauses: Iterator[float],
    *,
    retry_on: Callable[[Exception], bool] = may_pass,
    on_retry: Callable[[Exception], None] = lambda _error: None,
    wait: Callable[[float], object] = time.sleep,
) -> _T:
    """The value of ``call``, made again after each of ``pauses`` in seconds while it fails.

    Parameters
    ----------
    retry_on : whether an error may pass; any other is raised at once.
    on_retry : called with each error before the pause.
    wait : how a pause is spent. If it returns true, e.g. because an event was set, the error is raised.

    Raises
    ------
    Exception : the last error of ``call``.
    """
    while True:
        try:
            return call()
        except Exception as error:
            pause = next(pauses, None) if retry_on(error) else None
            if pause is None:
                raise
            on_retry(error)
            if wait(pause) is True:
                raise
