"""Errors, one class for each thing that a caller can do about them.

The class says what to do: retry, quarantine, correct the input, correct the configuration, repair the store,
report a bug. ``kind`` is a short stable code for programs. The text always has the same five parts: what
went wrong, where, what was found, what is allowed, and the remedy.
"""

from __future__ import annotations

from models.error_kinds import ErrorKind
from models.secrets import redacted

__all__ = [
    "BugError",
    "ConfigurationError",
    "ErrorKind",
    "InputError",
    "QuarantineError",
    "RetryError",
    "StoreError",
    "WhyspecError",
]


class WhyspecError(Exception):
    """Base class of every error that whyspec raises on purpose.

    Parameters
    ----------
    what : what went wrong, in one sentence.
    where : the file, store, column, row or option.
    got, allowed : the value that was found, and the values that are allowed; empty where there are none.
    remedy : what the reader can do.
    kind : one of the kinds of this class; its default if not given.

    Secrets in URLs and in texts of other libraries are hidden (:mod:`models.secrets`).
    """

    exit_code = 1
    default_kind = ErrorKind.BUG

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        got: object = "",
        allowed: object = "",
        remedy: str = "",
        kind: ErrorKind | None = None,
    ) -> None:
        # Here and not where they are shown: texts of errors also go to the ledger and to Prefect.
        self.what = redacted(what)
        self.where = redacted(where)
        self.got = redacted(str(got))
        self.allowed = redacted(str(allowed))
        self.remedy = redacted(remedy)
        self.kind = kind or self.default_kind
        super().__init__(self.what, self.where, self.got, self.allowed, self.remedy, self.kind)

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"{name}: {text}" for name, text in self.details() if text]
        return "\n  ".join(parts)

    def details(self) -> list[tuple[str, str]]:
        """Names and texts of the parts after the first sentence, in the order in which they are shown."""
        return [
            ("where", self.where),
            ("got", self.got),
            ("allowed", self.allowed),
            ("remedy", self.remedy),
        ]

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (Ray); keyword-only arguments need their own rebuild.
        return (_rebuild, (type(self), self.what, self.where, self.got, self.allowed, self.remedy, self.kind))


def _rebuild(
    cls: type[WhyspecError], what: str, where: str, got: str, allowed: str, remedy: str, kind: ErrorKind
) -> WhyspecError:
    return cls(what, where=where, got=got, allowed=allowed, remedy=remedy, kind=kind)


class RetryError(WhyspecError):
    """A fault that may pass, of a network or disk: the same call may work later."""

    exit_code = 75
    default_kind = ErrorKind.RETRY


class QuarantineError(WhyspecError):
    """One file or spectrum is bad: it is quarantined with this reason, and the run goes on."""

    exit_code = 3
    default_kind = ErrorKind.QUARANTINE


class InputError(WhyspecError):
    """The input is not there, or is not what the command needs."""

    exit_code = 66
    default_kind = ErrorKind.INPUT


class ConfigurationError(WhyspecError):
    """Options, settings, model and store do not fit together."""

    exit_code = 64
    default_kind = ErrorKind.CONFIGURATION


class StoreError(WhyspecError):
    """The store is damaged or of another schema version."""

    exit_code = 65
    default_kind = ErrorKind.STORE


class BugError(WhyspecError):
    """A promise inside whyspec was broken: please report it with this text."""

    exit_code = 70
    default_kind = ErrorKind.BUG
