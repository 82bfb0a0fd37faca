"""Errors tell what a caller should do, in one shape, across processes."""

from __future__ import annotations

import pickle

from models.errors import ConfigurationError, InputError, QuarantineError, RetryError


def test_text_has_the_parts_that_were_given() -> None:
    error = InputError("Nothing there.", where="a/b", got=0, allowed="1 or more", remedy="Look elsewhere.")
    assert str(error).splitlines() == [
        "Nothing there.",
        "  where: a/b",
        "  got: 0",
        "  allowed: 1 or more",
        "  remedy: Look elsewhere.",
    ]


def test_survives_pickling_between_processes() -> None:
    error = QuarantineError("Cut short.", where="x.fits", got="2 bytes", kind="truncated-file")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 our own bytes
    assert type(again) is QuarantineError
    assert str(again) == str(error)
    assert again.kind == "truncated-file"


def test_classes_have_their_own_exit_codes() -> None:
    codes = {cls.exit_code for cls in (RetryError, QuarantineError, InputError, ConfigurationError)}
    assert len(codes) == 4
