"""A web server whose answers a test writes down beforehand."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """Answers by path: a list is worked off, its last answer stays. ``asked`` are the requests' paths and headers.

    ``posted`` are the bodies of those that had one.
    """

    def __init__(self, server: ThreadingHTTPServer, scheme: str = "http") -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.posted: list[bytes] = []
        self.url = f"{scheme}://localhost:{server.server_port}"

    def put(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return self.url + path

    def put_folder(self, folder: Path) -> str:
        """Every file of a folder, with its ETag."""
        for file in folder.rglob("*"):
            if file.is_file():
                self.put("/" + file.relative_to(folder).as_posix(), body(file.read_bytes()))
        return self.url

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)


def send(handler: BaseHTTPRequestHandler, status: int, data: bytes = b"", **headers: Any) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": len(data), **headers}.items():
        if value is not None:
            handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    with contextlib.suppress(OSError):
        handler.wfile.write(data)


def status(code: int, **headers: Any) -> Answer:
    return lambda handler: send(handler, code, **headers)


def body(data: bytes, etag: str | None = None, **headers: Any) -> Answer:
    """The body, or 304 where the request has its ETag."""
    tag = etag or f'"{hash(data)}"'

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("If-None-Match") == tag:
            send(handler, 304, Content_Length=None)
        else:
            send(handler, 200, data, ETag=tag, **headers)

    return answer


def cut(data: bytes, length: int) -> Answer:
    """A body that ends too early."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, data[:length], Content_Length=len(data))
        handler.close_connection = True

    return answer


def stall(seconds: float) -> Answer:
    return lambda handler: time.sleep(seconds)


def drip(seconds: float) -> Answer:
    """A head that has no end: a byte, and the time until the next."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(100):
                handler.wfile.write(b"x")
                time.sleep(seconds)

    return answer


@contextlib.contextmanager
def serve(context: Any = None) -> Iterator[Site]:
    """A site on a port of this machine; with ``context``, by TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            answers = site.answers.get(self.path, [status(404)])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            answer(self)

        def do_POST(self) -> None:
            site.posted.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site = Site(server, "https" if context is not None else "http")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """The address of a plain web server that gives the files of a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), partial(Handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Traffic:
    """What was asked of a server: the requests, and the bytes of their answers."""

    url: str
    requests: int = 0
    bytes: int = 0


@contextlib.contextmanager
def serve_ranges(folder: Path) -> Iterator[Traffic]:
    """A web server that gives the files of a folder, whole or by the range that is asked for, as static hosts do."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = Path(self.translate_path(self.path))
            if not path.is_file():
                self.send_error(404)
                return
            size, asked = path.stat().st_size, re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = (int(asked[1]), min(int(asked[2] or size - 1), size - 1)) if asked else (0, size - 1)
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", self.guess_type(path))
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            traffic.requests += 1
            if self.command == "GET":
                with path.open("rb") as file:
                    file.seek(first)
                    self.wfile.write(file.read(last - first + 1))
                traffic.bytes += last - first + 1

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), partial(Handler, directory=str(folder)))
    server.daemon_threads = True
    traffic = Traffic(f"http://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield traffic
    finally:
        server.shutdown()
        server.server_close()
