"""Name filter: a few bits for each name in a part of a catalogue. They tell parts that lack a name.

A Bloom filter of blocks (Putze, Sanders & Singler 2009, Journal of Experimental Algorithmics 14), in the form
that Parquet has it, but with seven words in a block and their checksum in place of the eighth. So one read of
32 bytes answers for one name, and a damaged block is noticed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 32
_BITS_PER_NAME = 16
"""So that 3 in 1000 parts that lack a name seem to have it."""

_SALTS = np.array(
    [0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947], np.uint32
)
"""Of the specification of Parquet: odd numbers, one for each word."""

_WORDS = len(_SALTS)


def name_filter(names: Iterable[str]) -> bytes:
    """The filter of these names: whole blocks of 32 bytes."""
    hashes = _hashes(names)
    count = max(1, -(-len(hashes) * _BITS_PER_NAME // (8 * BLOCK_BYTES)))
    words = np.zeros((count, _WORDS), np.uint32)
    np.bitwise_or.at(words, (_blocks(hashes, count)[:, None], np.arange(_WORDS)), _bits(hashes))
    bits = (block.tobytes() for block in words.astype("<u4"))
    return b"".join(block + _checksum(block) for block in bits)


def block_start(name: str, filter_bytes: int) -> int:
    """Where in a filter of so many bytes the block of a name begins."""
    return int(_blocks(_hashes([name]), filter_bytes // BLOCK_BYTES)[0]) * BLOCK_BYTES


def may_hold(block: bytes, name: str) -> bool:
    """Whether the names of a filter may have this one, by its block; false where they have not.

    Raises
    ------
    ValueError : the block is not as it was written.
    """
    bits, checksum = block[: 4 * _WORDS], block[4 * _WORDS :]
    if checksum != _checksum(bits):
        raise ValueError("a block of a name filter whose checksum does not match")
    wanted = _bits(_hashes([name]))[0]
    return bool((np.frombuffer(bits, "<u4") & wanted == wanted).all())


def _hashes(names: Iterable[str]) -> NDArray[np.uint64]:
    """64 bits of each name."""
    return np.frombuffer(b"".join(blake2b(name.encode(), digest_size=8).digest() for name in names), "<u8")


def _blocks(hashes: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """The block of each name, by the upper half of its bits."""
    return (hashes >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)


def _bits(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """One bit in each word, (names, words), by the lower half."""
    places = hashes.astype(np.uint32)[:, None] * _SALTS >> np.uint32(27)
    return np.uint32(1) << places


def _checksum(bits: bytes) -> bytes:
    return zlib.crc32(bits).to_bytes(4, "little")
