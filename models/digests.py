"""Digests of bytes, and the JSON text of which they are taken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from io import BufferedReader
from typing import Any


def digest_of(data: bytes) -> str:
    """Hex blake2b (16 bytes) of ``data``: 32 characters."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def digest_of_file(stream: BufferedReader) -> str:
    """As :func:`digest_of` of all that a file holds, read piece by piece."""
    return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def canonical_json(body: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """JSON text that depends on the content only: sorted names, no spaces.

    Raises
    ------
    ValueError : a number is NaN or infinite.
    """
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
