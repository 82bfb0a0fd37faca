"""Calls made again: as often as there are pauses, only for errors that may pass."""

from __future__ import annotations

import pytest

from engine.files.retries import growing_pauses, with_retries
from models.errors import InputError, RetryError


class Failing:
    """Fails so many times, then gives how often it was called."""

    def __init__(self, times: int, error: type[Exception] = RetryError) -> None:
        self.times, self.error, self.calls = times, error, 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error(f"failure {self.calls}")
        return self.calls


def test_a_call_is_made_again_after_each_pause() -> None:
    waited: list[float] = []
    told: list[str] = []
    value = with_retries(
        Failing(2), iter([1.0, 2.0, 4.0]), on_retry=lambda error: told.append(str(error)), wait=waited.append
    )
    assert (value, waited, told) == (3, [1.0, 2.0], ["failure 1", "failure 2"])


def test_the_last_error_is_raised_when_the_pauses_are_used_up() -> None:
    call = Failing(9)
    with pytest.raises(RetryError, match="failure 3"):
        with_retries(call, iter([0.0, 0.0]), wait=lambda _seconds: None)
    assert call.calls == 3


def test_an_error_that_cannot_pass_is_raised_at_once() -> None:
    call = Failing(1, InputError)
    with pytest.raises(InputError, match="failure 1"):
        with_retries(call, iter([0.0]), wait=lambda _seconds: None)
    assert call.calls == 1


def test_a_pause_that_is_cut_short_ends_the_retries() -> None:
    call = Failing(9)
    with pytest.raises(RetryError, match="failure 1"):
        with_retries(call, iter([5.0, 5.0]), wait=lambda _seconds: True)
    assert call.calls == 1


def test_pauses_double_and_are_cut_by_half_at_most() -> None:
    for number, pause in enumerate(growing_pauses(0.5, 4)):
        assert 0.25 * 2**number <= pause <= 0.5 * 2**number
    assert len(list(growing_pauses(0.5, 4))) == 4
