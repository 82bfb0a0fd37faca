"""Checksummed JSON: an object of the ledger with the checksum of its other members."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.digests import canonical_json, digest_of
from models.errors import ErrorKind, StoreError


def checksummed(body: Mapping[str, Any]) -> bytes:
    """``body`` as JSON with a checksum of the rest."""
    return canonical_json({**body, "checksum": digest_of(canonical_json(body))})


def read_checksummed(data: bytes, where: str, remedy: str) -> dict[str, Any]:
    """What :func:`checksummed` was given; ``where`` and ``remedy`` are for the error.

    Raises
    ------
    StoreError : the object is not JSON, or was changed or cut after it was written.
    """
    try:
        body = json.loads(data)
        checksum = body.pop("checksum")
        rest = data.replace(f'"checksum":"{checksum}",'.encode(), b"", 1)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise _damaged(where, remedy, f"not a checksummed JSON object ({error})") from error
    # As written, it needs no encoding anew. Other spaces or another order of members change nothing.
    if digest_of(rest) != checksum and digest_of(canonical_json(body)) != checksum:
        raise _damaged(where, remedy, "its checksum does not match its content")
    return dict(body)


def _damaged(where: str, remedy: str, got: str) -> StoreError:
    return StoreError(
        "An entry of the ledger is damaged.",
        where=where,
        got=got,
        allowed="JSON whose checksum matches its content",
        remedy=remedy,
        kind=ErrorKind.LEDGER_DAMAGED,
    )
