"""Files of web servers, by ranges and as the server holds them."""

from __future__ import annotations

from typing import Any

from fsspec.implementations.http import HTTPFileSystem

from engine.files.byte_ranges import WholeFile
from engine.files.file_systems import check_size
from models.errors import ErrorKind, QuarantineError

LARGEST_WHOLE = 2 << 30
"""Bytes of the largest file of a server that knows no ranges: it stays in memory."""

_ENCODINGS = ("", "identity", "gzip", "x-gzip")


class HttpFiles(HTTPFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Web servers as fsspec sees them, except for ranges of files.

    Ranges come as the server holds the file, in gzip where it says so (Content-Encoding): a piece of gzip
    cannot be decompressed by itself, and no length but that of the gzip file is known.
    """

    async def _ls_real(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What an index links to, without the links that sort it."""
        found = await super()._ls_real(url, detail=detail, **kwargs)
        return [each for each in found if "?" not in (each["name"] if detail else each)]

    async def _info(self, url: str, **kwargs: Any) -> dict[str, Any]:
        """Of a file that is sent in gzip the size is None."""
        found: dict[str, Any] = await super()._info(url, auto_decompress=False, **kwargs)
        return found

    async def _cat_file(
        self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """The bytes of a range, or all bytes of the file, as :class:`WholeFile`; none behind its end.

        Raises
        ------
        QuarantineError : more bytes come, or are announced, than a file may have (``too-large``), or they are
            compressed in a way that is not read (``undecodable-file``).
        """
        if start is None or end is None:
            whole: bytes = await super()._cat_file(url, start, end, **kwargs)
            return whole
        headers = {
            **self.kwargs.get("headers", {}),
            "Accept-Encoding": "identity",
            "Range": f"bytes={start}-{end - 1}",
        }
        options = {**self.kwargs, **kwargs, "headers": headers, "auto_decompress": False}
        session = await self.set_session()
        async with session.get(self.encode_url(url), **options) as answer:
            if answer.status == 416:  # the range begins behind the end
                return b""
            self._raise_not_found_for_status(answer, url)
            _check_encoding(url, answer.headers.get("Content-Encoding", ""))
            if answer.status == 206:
                return await _body(url, answer, end - start)
            return WholeFile(await _body(url, answer, LARGEST_WHOLE))


async def _body(url: str, answer: Any, limit: int) -> bytes:
    """The bytes of an answer; of too many none are kept."""
    check_size(url, answer.content_length or 0, limit)
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        check_size(url, size, limit)
        pieces.append(piece)
    return b"".join(pieces)


def _check_encoding(url: str, encoding: str) -> None:
    if encoding.strip().lower() not in _ENCODINGS:
        raise QuarantineError(
            "A server compresses a file in a way that is not read here.",
            where=url,
            got=f"Content-Encoding: {encoding}",
            allowed="no Content-Encoding, or gzip",
            remedy="Download the file and give its path, or tell the server's keeper.",
            kind=ErrorKind.UNDECODABLE_FILE,
        )
