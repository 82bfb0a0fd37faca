"""Log events: a sentence for people, with a name and fields for programs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from models.secrets import redacted, redacted_values

_fields: ContextVar[Mapping[str, object]] = ContextVar("whyspec_log_fields")

ATTRIBUTE = "whyspec_fields"
"""Attribute of a record that has its fields."""


def log_event(logger: logging.Logger, level: int, event: str, message: str, **fields: object) -> None:
    """Log ``message`` with the name and fields of an event; secrets in them are hidden.

    Parameters
    ----------
    level : of :mod:`logging`.
    event : a short stable name in kebab case, e.g. ``"block-done"``.
    fields : strings, numbers, lists and dicts of them.
    """
    if logger.isEnabledFor(level):
        # The message is no format: a URL may hold a %. Handlers of others redact nothing, so it is done here.
        values = redacted_values({"event": event, **fields})
        logger.log(level, "%s", redacted(message), extra={ATTRIBUTE: values}, stacklevel=2)


@contextmanager
def log_fields(**fields: object) -> Iterator[None]:
    """Within the block, every record of this context has these fields, e.g. the block that is computed."""
    token = _fields.set({**current_log_fields(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def current_log_fields() -> Mapping[str, object]:
    """The fields of :func:`log_fields` that records have now."""
    return _fields.get({})
