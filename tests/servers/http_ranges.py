"""A web server on loopback that serves a directory by ranges, counts what it serves, and fails on order."""

from __future__ import annotations

import fnmatch
import gzip
import html
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")
_PIECE = 1 << 20
_SETTLE_SECONDS = 5.0  # how long a count waits for answers that a client does not read to their end


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was answered: ``body`` is the number of bytes of content that were sent."""

    method: str
    path: str
    range: str
    status: int
    body: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request gets instead of what it asked for.

    ``status`` answers with ``code``; ``hang`` keeps silent for ``seconds``, then closes; ``cut`` closes
    after ``share`` of the body; ``whole`` answers 200 with the whole file whatever range was asked;
    ``flip`` changes the byte in the middle of the body. ``chunked`` sends the whole file without its length,
    ``encoded`` compressed too, as ``encoding`` says; ``labelled`` only says that the file is so encoded.
    ``endless`` announces an exbibyte and sends zeros until the client goes away.
    """

    kind: Literal["status", "hang", "cut", "whole", "flip", "chunked", "encoded", "labelled", "endless"]
    code: int = 503
    seconds: float = 60.0
    share: float = 0.5
    encoding: str = "gzip"


@dataclass
class _Order:
    pattern: str
    fault: Fault
    times: int | None


class RangeServer:
    """Serves the files below ``directory`` at ``url`` while it is entered.

    HTTP/1.1 with keep-alive, HEAD, ETag, single ranges (206, 416). ``listing`` is whether a directory
    answers with an index as Apache makes it, or with 403. Paths begin without a slash; patterns are
    those of :mod:`fnmatch`.

    Attributes
    ----------
    latency : seconds that every answer takes at least; may be changed at any time.
    """

    def __init__(self, directory: Path, *, listing: bool = True, latency: float = 0.0) -> None:
        self.directory = directory
        self.listing = listing
        self.latency = latency
        self._requests: list[Request] = []
        self._orders: list[_Order] = []
        self._lock = threading.Lock()
        self._under_way, self._changed = 0, threading.Condition()
        self.closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """URL of the directory, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    def misbehave(self, pattern: str, fault: Fault, times: int | None = None) -> None:
        """Let the next ``times`` requests (``None``: all) of matching paths have ``fault``."""
        with self._lock:
            self._orders.append(_Order(pattern, fault, times))

    def behave(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._orders.clear()

    def forget(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._requests.clear()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """An answer under way: a client may have all of it before it is noted."""
        with self._changed:
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def requests(self, pattern: str = "*", method: str = "*") -> list[Request]:
        """Requests so far of matching paths, in the order of their answers."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0, timeout=_SETTLE_SECONDS)
        with self._lock:
            return [
                one
                for one in self._requests
                if fnmatch.fnmatch(one.path, pattern) and fnmatch.fnmatch(one.method, method)
            ]

    def sent(self, pattern: str = "*") -> int:
        """Bytes of content sent for matching paths."""
        return sum(one.body for one in self.requests(pattern))

    def fault_of(self, path: str) -> Fault | None:
        """The fault that this request has; counts it."""
        with self._lock:
            for order in self._orders:
                if fnmatch.fnmatch(path, order.pattern) and order.times != 0:
                    if order.times is not None:
                        order.times -= 1
                    return order.fault
        return None

    def note(self, request: Request) -> None:
        """Count one request."""
        with self._lock:
            self._requests.append(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: RangeServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was first

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is the library's
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        owner = self.server.owner
        path = unquote(urlsplit(self.path).path).lstrip("/")
        fault = owner.fault_of(path)
        if owner.latency:
            time.sleep(owner.latency)
        if fault is not None and fault.kind == "hang":
            owner.note(Request(self.command, path, self.headers.get("Range", ""), 0, 0))
            owner.closing.wait(fault.seconds)
            self.close_connection = True
            return
        with owner.answering():
            if fault is not None and fault.kind == "status":
                self._send(path, fault.code, HTTPStatus(fault.code).phrase.encode())
            else:
                self._serve(path, fault)

    def _serve(self, path: str, fault: Fault | None) -> None:
        owner = self.server.owner
        target = (owner.directory / path).resolve()
        if not target.is_relative_to(owner.directory.resolve()) or not target.exists():
            self._send(path, 404, b"Not Found")
        elif target.is_dir():
            if path and not path.endswith("/"):
                self._send(path, 301, b"Moved", {"Location": f"/{quote(path)}/"})
            elif owner.listing:
                self._send(path, 200, _index(path, target), {"Content-Type": "text/html;charset=UTF-8"})
            else:
                self._send(path, 403, b"Forbidden")
        elif fault is not None and fault.kind in ("chunked", "encoded", "endless"):
            self._send_whole(path, target, fault)
        else:
            self._send_file(path, target, fault)

    def _send(self, path: str, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = 0 if self.command == "HEAD" else len(body)
        self.server.owner.note(Request(self.command, path, self.headers.get("Range", ""), status, sent))
        if sent:
            self.wfile.write(body)

    def _send_whole(self, path: str, target: Path, fault: Fault) -> None:
        """A file, or zeros without end, of a server that knows neither ranges nor lengths."""
        body = target.read_bytes()
        self.send_response(200)
        if fault.kind == "encoded":
            body = gzip.compress(body) if fault.encoding == "gzip" else body
            self.send_header("Content-Encoding", fault.encoding)
        if fault.kind == "endless":
            self.send_header("Content-Length", str(1 << 60))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        try:
            if self.command == "GET" and fault.kind == "endless":
                while not self.server.owner.closing.is_set():
                    sent += self.wfile.write(bytes(_PIECE))
            elif self.command == "GET":
                sent = len(body)
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        except OSError:  # the client went away
            self.close_connection = True
        self.server.owner.note(Request(self.command, path, self.headers.get("Range", ""), 200, sent))

    def _send_file(self, path: str, target: Path, fault: Fault | None) -> None:
        state = target.stat()
        asked = "" if fault is not None and fault.kind == "whole" else self.headers.get("Range", "")
        start, stop, status = _range(asked, state.st_size)
        if status == 416:
            self._send(path, 416, b"", {"Content-Range": f"bytes */{state.st_size}"})
            return
        self.send_response(status)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Type", "application/octet-stream")
        if fault is not None and fault.kind == "labelled":
            self.send_header("Content-Encoding", fault.encoding)
        self.send_header("ETag", f'"{state.st_mtime_ns:x}-{state.st_size:x}"')
        self.send_header("Last-Modified", formatdate(state.st_mtime, usegmt=True))
        if fault is None or fault.kind != "whole":
            self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{state.st_size}")
        self.end_headers()
        sent = 0
        if self.command != "HEAD":
            cut = fault is not None and fault.kind == "cut"
            end = start + int((stop - start) * fault.share) if cut and fault is not None else stop
            sent = self._send_bytes(target, start, end, flip=fault is not None and fault.kind == "flip")
            self.close_connection = cut
        self.server.owner.note(Request(self.command, path, self.headers.get("Range", ""), status, sent))

    def _send_bytes(self, target: Path, start: int, stop: int, *, flip: bool) -> int:
        sent, middle = 0, (start + stop) // 2
        with target.open("rb") as stream:
            stream.seek(start)
            while start + sent < stop:
                piece = stream.read(min(_PIECE, stop - start - sent))
                if not piece:
                    break
                place = middle - start - sent
                if flip and 0 <= place < len(piece):
                    piece = piece[:place] + bytes([piece[place] ^ 0x10]) + piece[place + 1 :]
                try:
                    self.wfile.write(piece)
                except OSError:  # the client went away
                    self.close_connection = True
                    break
                sent += len(piece)
        return sent


def _range(asked: str, size: int) -> tuple[int, int, int]:
    """First byte, byte after the last, and status of an answer; what is not one range is ignored."""
    match = _RANGE.match(asked)
    if not match or not any(match.groups()):
        return 0, size, 200
    if not match[1]:
        return max(0, size - int(match[2])), size, 206
    start = int(match[1])
    stop = min(size, int(match[2]) + 1) if match[2] else size
    return (start, stop, 206) if start < stop else (0, 0, 416)


def _index(path: str, directory: Path) -> bytes:
    """A directory as Apache's mod_autoindex shows it, with its links for sorting and to the parent."""
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in directory.iterdir())
    rows = "\n".join(
        f'<tr><td><a href="{quote(name)}">{html.escape(name)}</a></td><td>2025-03-19 10:00</td></tr>'
        for name in names
    )
    return (
        f"<html><head><title>Index of /{html.escape(path)}</title></head><body>\n"
        '<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>\n'
        f'<tr><td><a href="{"/" if not path else "../"}">Parent Directory</a></td></tr>\n{rows}\n'
        "</table></body></html>\n"
    ).encode()
