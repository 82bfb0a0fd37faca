"""Checksummed JSON: an object of the ledger with the checksum of its other members."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from models.digests import canonical_json, digest_of
from models.errors import ErrorKind, StoreError
from models.json_text import read_json

_MEMBER = re.compile(rb'"checksum":"([0-9a-f]{32})",')


def checksummed(body: Mapping[str, Any]) -> bytes:
    """``body`` as JSON with a checksum of the rest."""
    return canonical_json({**body, "checksum": digest_of(canonical_json(body))})


def read_checksummed(data: bytes, where: str, remedy: str) -> bytes:
    """What :func:`checksummed` was given, as JSON; ``where`` and ``remedy`` are for the error.

    Raises
    ------
    StoreError : the object is not JSON, or was changed or cut after it was written.
    """
    # As written, it needs no decoding and encoding anew. Other spaces or another order change nothing.
    found = _MEMBER.search(data)
    if found is not None:
        rest = data[: found.start()] + data[found.end() :]
        if digest_of(rest) == found[1].decode():
            return rest
    try:
        body = read_json(data)
        checksum = body.pop("checksum")
        rest = canonical_json(body)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise _damaged(where, remedy, f"not a checksummed JSON object ({error})") from error
    if digest_of(rest) != checksum:
        raise _damaged(where, remedy, "its checksum does not match its content")
    return rest


def _damaged(where: str, remedy: str, got: str) -> StoreError:
    return StoreError(
        "An entry of the ledger is damaged.",
        where=where,
        got=got,
        allowed="JSON whose checksum matches its content",
        remedy=remedy,
        kind=ErrorKind.LEDGER_DAMAGED,
    )
