"""Files by URL, in a cache on disk: fetched once, asked after by ETag, and whole or not at all.

``https://`` and ``http://`` by httpx, ``s3://BUCKET/KEY`` by obstore, whose credentials, region and
endpoint come from the usual environment (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, …);
without credentials requests are not signed, as public buckets want it.

Redirects are followed where they stay on the web: to another host only by https, as CDNs lead to a bucket by a
presigned URL, and without the user and password of the first; from https never to http. A file stays as it was sent,
gzip too: what reads it knows that by its first bytes.

An ``s3`` URL that ends with a slash gives the keys below it, as a JSON list.

The cache has a folder for each URL::

    CACHE/<SHA-256 of the URL>/body         what the URL gave
    CACHE/<SHA-256 of the URL>/entry.json   its ETag, size and SHA-256, without which no body counts
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import msgspec
import tenacity

from pipeline.errors import MissingFileError, NoFileError, RemoteError
from pipeline.io.disk import ABANDONED, refuse_planted, remove, renew_file, replacing, sweep_staged
from pipeline.io.urls import hide_secrets, is_url, show_url

if TYPE_CHECKING:
    from obstore.store import S3Store

MOST_REDIRECTS = 5
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
_GONE = (404, 410)
_DENIED = (401, 403)
_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Limits:
    """Bounds of each download: bytes, seconds, attempts; ``parallel`` downloads run at once.

    ``connect`` and ``idle`` bound one step each, ``total`` all attempts at a file together.
    """

    largest: int = 2 * 2**30
    connect: float = 15.0
    idle: float = 60.0
    total: float = 1800.0
    attempts: int = 5
    pause: float = 0.5
    parallel: int = 8


class Kept(msgspec.Struct):
    """What is kept of a URL beside its body."""

    url: str
    etag: str | None
    size: int
    sha256: str


@dataclass(frozen=True)
class Fetched:
    """A whole file in the cache. ``was_cached`` says that nothing had to be fetched."""

    url: str
    path: Path
    size: int
    sha256: str
    was_cached: bool


class _TransientError(Exception):
    """What may go well at the next attempt; ``wait`` are the seconds that the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


class _UnchangedError(Exception):
    """The server has nothing newer than what is cached."""


class RemoteFiles:
    """Gets files by URL; safe to use from several threads.

    With ``offline`` the cache alone answers. ``verify`` is httpx's: what TLS certificates are trusted. ``note`` gets a
    line for each attempt that fails and is followed by another.

    Raises:
        RemoteError: the environment names proxies that cannot be used.
    """

    def __init__(
        self,
        cache: Path,
        offline: bool = False,
        limits: Limits | None = None,
        verify: ssl.SSLContext | bool = True,
        note: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.cache = cache
        self.offline = offline
        self._limits = limits or Limits()
        self._note = note
        self._auths: dict[str, httpx.Auth] = {}
        try:
            self._client = httpx.Client(
                timeout=httpx.Timeout(self._limits.idle, connect=self._limits.connect),
                follow_redirects=False,
                verify=verify,
                headers={"User-Agent": "spack-warehouse", "Accept-Encoding": "identity"},
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            reason = hide_secrets(" ".join(str(error).split()))
            raise RemoteError(f"the proxies of the environment cannot be used: {reason}") from None

    def __enter__(self) -> RemoteFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def log_in(self, below: str, auth: httpx.Auth) -> None:
        """Have ``auth`` make the requests of URLs that begin with ``below``, and not those they are redirected to."""
        self._auths.setdefault(below, auth)

    def fetch_all(
        self, urls: Iterable[str], advance: Callable[[int], None] = lambda count: None
    ) -> dict[str, Fetched | RemoteError]:
        """Each of ``urls`` as it is now, or why it cannot be had; several at once. ``advance`` counts bytes."""

        def fetch(url: str) -> Fetched | RemoteError:
            try:
                return self.fetch(url, advance=advance)
            except RemoteError as error:
                return error

        wanted = list(dict.fromkeys(urls))
        pool = ThreadPoolExecutor(self._limits.parallel)
        try:
            return dict(zip(wanted, pool.map(fetch, wanted), strict=True))
        finally:
            pool.shutdown(cancel_futures=True)

    def fetch(self, url: str, sha256: str = "", advance: Callable[[int], None] = lambda count: None) -> Fetched:
        """The file at ``url`` as it is now; with ``sha256``, the one that has this checksum.

        Raises:
            MissingFileError: there is no such file.
            NoFileError: access to it is denied.
            RemoteError: it cannot be had: the server or the network fails again and again, it is too
                large, not what its checksum says, or not in the cache while offline.
        """
        if not is_url(url):
            raise RemoteError(f"{show_url(url)}: is no URL that can be fetched")
        folder = self.cache / hashlib.sha256(url.encode()).hexdigest()
        cached = _load(folder)
        if cached is not None and (self.offline or (sha256 and cached.sha256 == sha256)):
            if sha256 and cached.sha256 != sha256:
                raise RemoteError(
                    f"{show_url(url)}: the cache holds another one than is wanted; build without --offline"
                )
            return _as_fetched(folder, cached, was_cached=True)
        if self.offline:
            raise NoFileError(f"{show_url(url)}: is not in the cache {self.cache}; build once without --offline")
        deadline = time.monotonic() + self._limits.total
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TransientError),
            stop=tenacity.stop_after_attempt(self._limits.attempts),
            wait=self._wait,
            before_sleep=lambda state: self._note_retry(url, state),
            reraise=True,
        )
        try:
            entry = retrying(self._download, url, folder, cached, sha256, advance, deadline)
        except _UnchangedError:
            assert cached is not None
            return _as_fetched(folder, cached, was_cached=True)
        except _TransientError as error:
            raise RemoteError(f"{show_url(url)}: {error.reason}, {self._limits.attempts} times") from None
        return _as_fetched(folder, entry, was_cached=False)

    def forget(self, url: str) -> None:
        """Let go of what the cache holds of a URL."""
        remove(self.cache / hashlib.sha256(url.encode()).hexdigest())

    def _wait(self, state: tenacity.RetryCallState) -> float:
        backoff = tenacity.wait_random_exponential(multiplier=self._limits.pause, max=30)
        failed = state.outcome.exception() if state.outcome else None
        asked = failed.wait if isinstance(failed, _TransientError) else 0.0
        return max(backoff(state), min(asked, self._limits.idle))

    def _note_retry(self, url: str, state: tenacity.RetryCallState) -> None:
        failed = state.outcome.exception() if state.outcome else None
        reason = failed.reason if isinstance(failed, _TransientError) else "fails"
        wait = state.next_action.sleep if state.next_action else 0.0
        count = f"attempt {state.attempt_number + 1} of {self._limits.attempts}"
        self._note(f"{show_url(url)}: {reason}; {count} in {wait:.1f} seconds")

    def _download(
        self,
        url: str,
        folder: Path,
        cached: Kept | None,
        sha256: str,
        advance: Callable[[int], None],
        deadline: float,
    ) -> Kept:
        """One attempt: the body to a file of its own, then to its place, then the entry that makes it count."""
        refuse_planted(folder)
        folder.mkdir(parents=True, exist_ok=True)
        sweep_staged(folder / "body", ABANDONED)
        etag = cached.etag if cached is not None else None
        read = self._read_s3 if urlsplit(url).scheme == "s3" else self._read_http
        digest = hashlib.sha256()
        size = 0
        try:
            with replacing(folder / "body") as file, contextlib.closing(_within(read(url, etag), deadline)) as parts:
                expected, new_etag = next(parts)
                if isinstance(expected, int) and expected > self._limits.largest:
                    raise RemoteError(
                        f"{show_url(url)}: is larger than {self._limits.largest:,} bytes, with {expected:,}"
                    )
                for part in parts:
                    assert isinstance(part, bytes)
                    size += len(part)
                    if size > self._limits.largest:
                        raise RemoteError(f"{show_url(url)}: is larger than {self._limits.largest:,} bytes")
                    digest.update(part)
                    file.write(part)
                    advance(len(part))
                if expected is not None and size != expected:
                    raise _TransientError(f"ended after {size:,} of {expected:,} bytes")
                entry = Kept(url=show_url(url), etag=new_etag, size=size, sha256=digest.hexdigest())
                if sha256 and entry.sha256 != sha256:
                    raise _TransientError(f"is truncated or altered: its SHA-256 is {entry.sha256}, not {sha256}")
        except TimeoutError:
            raise RemoteError(f"{show_url(url)}: takes longer than {self._limits.total:,.0f} seconds") from None
        renew_file(folder / "entry.json", msgspec.json.encode(entry))
        return entry

    def _read_http(self, url: str, etag: str | None) -> Generator[Any]:
        """The size and ETag that the server gives, and then the body in parts."""
        headers = {"If-None-Match": etag} if etag else {}
        try:
            request = self._client.build_request("GET", url, headers=headers)
            auth = next((one for below, one in self._auths.items() if url.startswith(below)), None)
            for _ in range(MOST_REDIRECTS + 1):
                response = self._client.send(request, stream=True, auth=auth or httpx.USE_CLIENT_DEFAULT)
                auth = None
                if response.next_request is None:
                    break
                response.close()
                request = _check_redirect(url, request.url, response.next_request)
            else:
                raise RemoteError(f"{show_url(url)}: is redirected more than {MOST_REDIRECTS} times")
            with contextlib.closing(response):
                _check_status(url, response, asked_for_newer=bool(etag))
                length = response.headers.get("Content-Length")
                yield int(length) if length and length.isdecimal() else None, response.headers.get("ETag")
                yield from response.iter_raw()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
            # What they say may quote a part of a password.
            raise RemoteError(f"{show_url(url)}: is no URL that can be fetched, or leads to none") from None
        except httpx.TransportError as error:
            if "location header" in str(error):
                raise RemoteError(f"{show_url(url)}: is redirected to what is no URL") from None
            if isinstance(error.__cause__ or error.__context__, ssl.SSLError) or "CERTIFICATE" in str(error):
                raise RemoteError(f"{show_url(url)}: TLS fails: {error}") from None
            raise _TransientError(_explain(error)) from None

    def _read_s3(self, url: str, etag: str | None) -> Generator[Any]:
        import obstore
        from obstore.exceptions import NotModifiedError, PermissionDeniedError, UnauthenticatedError

        parts = urlsplit(url)
        try:
            store = self._open_bucket(parts.netloc)
            if parts.path.endswith("/"):
                yield from _list_keys(store, url)
                return
            result = obstore.get(store, parts.path.lstrip("/"), options={"if_none_match": etag} if etag else None)
            yield result.meta["size"], result.meta["e_tag"]
            for part in result.stream():
                yield bytes(part)
        except NotModifiedError:
            raise _take_for_unchanged(url, asked_for_newer=bool(etag)) from None
        except FileNotFoundError:
            raise MissingFileError(f"{show_url(url)}: is gone: no such bucket or key") from None
        except (PermissionDeniedError, UnauthenticatedError):
            raise NoFileError(f"{show_url(url)}: access is denied; see AWS_ACCESS_KEY_ID in the environment") from None
        except (obstore.exceptions.BaseError, OSError, TimeoutError) as error:
            raise _TransientError(_explain_store(error)) from None

    def _open_bucket(self, bucket: str) -> S3Store:
        from obstore.store import S3Store

        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        return S3Store(
            bucket,
            config={"endpoint": endpoint} if endpoint else {},
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            skip_signature=not any(os.environ.get(name) for name in _CREDENTIALS),
            client_options={
                "connect_timeout": timedelta(seconds=self._limits.connect),
                "read_timeout": timedelta(seconds=self._limits.idle),
                "timeout": timedelta(seconds=self._limits.total),
                "allow_http": endpoint.startswith("http://"),
            },
            # Attempts are counted and spaced here, alike for both protocols.
            retry_config={"max_retries": 0},
        )


def _list_keys(store: S3Store, url: str) -> Generator[Any]:
    """The keys that begin with the path of ``url``, sorted, as the body of a file: a JSON list of texts.

    Raises:
        NoFileError: the bucket lists nothing, as a plain web server in the place of one.
    """
    import obstore
    from obstore.exceptions import GenericError

    try:
        keys = sorted(meta["path"] for part in obstore.list(store, urlsplit(url).path.lstrip("/")) for meta in part)
    except GenericError as error:
        if answer := re.search(r"status code: (4(?!08|29)\d\d)", str(error)):
            raise NoFileError(f"{show_url(url)}: cannot be listed: {answer[1]}") from None
        raise
    body = msgspec.json.encode(keys)
    yield len(body), None
    yield body


def _within(parts: Generator[Any], deadline: float) -> Generator[Any]:
    """What a generator gives, made in a thread of its own, until a deadline of the monotonic clock.

    Libraries bound one read alone: a server that sends a byte of its head now and then would hold them for hours.

    Raises:
        TimeoutError: the deadline has come.
    """
    made: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=8)
    over = threading.Event()
    ended = StopIteration()

    def put(part: Any, error: BaseException | None = None) -> None:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                made.put((part, error), timeout=0.2)
                return

    def make() -> None:
        try:
            with contextlib.closing(parts):
                for part in parts:
                    put(part)
                    if over.is_set():
                        return
            put(None, ended)
        except Exception as error:
            put(None, error)

    threading.Thread(target=make, daemon=True).start()
    try:
        while True:
            try:
                part, error = made.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                raise TimeoutError from None
            if error is ended:
                return
            if error is not None:
                raise error
            if time.monotonic() > deadline:
                raise TimeoutError
            yield part
    finally:
        over.set()


def _check_redirect(url: str, before: httpx.URL, request: httpx.Request) -> httpx.Request:
    """The request that a redirect leads to; httpx has taken out what is for the first host alone.

    Raises:
        RemoteError: it leaves the web, or its safety.
    """
    after = request.url
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise RemoteError(f"{show_url(url)}: is redirected to {after.scheme}, which is not followed")
    if after.host != before.host and after.scheme != "https":
        # Plain http to another host reaches services of a network that are meant for nobody outside.
        raise RemoteError(f"{show_url(url)}: is redirected to another host by {after.scheme}, which is not followed")
    return request


def _check_status(url: str, response: httpx.Response, asked_for_newer: bool) -> None:
    status = response.status_code
    # The phrase is the server's: of a long one, or of one in no letters, nothing is lost.
    answer = f"{status} {response.reason_phrase[:40]}".strip()
    answer = answer if answer.isprintable() else str(status)
    if status == httpx.codes.NOT_MODIFIED:
        raise _take_for_unchanged(url, asked_for_newer)
    if status in _GONE:
        raise MissingFileError(f"{show_url(url)}: is gone: {answer}")
    if status in _DENIED:
        raise NoFileError(f"{show_url(url)}: answers {answer}")
    if status in _AGAIN:
        after = response.headers.get("Retry-After", "")
        asked = float(after) if after.isascii() and after.isdecimal() else 0.0
        raise _TransientError(f"answers {answer}", asked)
    if status != httpx.codes.OK:
        raise RemoteError(f"{show_url(url)}: answers {answer}")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise RemoteError(f"{show_url(url)}: is sent in Content-Encoding {encoding[:40]!r}, which was not asked for")


def _take_for_unchanged(url: str, asked_for_newer: bool) -> Exception:
    if asked_for_newer:
        return _UnchangedError()
    return RemoteError(f"{show_url(url)}: answers 304 Not Modified, and nothing of it was there before")


def _explain(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time"
    text = hide_secrets(" ".join(str(error).split()))[:200]
    return f"cannot be reached: {text or type(error).__name__}"


_STORE_SAYS = re.compile(
    r"Generic \w+ error: Error performing \w+ \S+ in \S+ - (?:HTTP error: )?(.*?)(?: Debug source.*)?"
)
"""What obstore says of a request that got no answer: whose, how long it took, what it is, and all of it once more."""


def _explain_store(error: Exception) -> str:
    text = hide_secrets(" ".join(str(error).split()))
    unanswered = _STORE_SAYS.fullmatch(text)
    return f"cannot be reached: {unanswered[1]}" if unanswered else text[:200]


def _load(folder: Path) -> Kept | None:
    """The entry of a body that is as it was written; None where anything is missing or damaged."""
    try:
        entry = msgspec.json.decode((folder / "entry.json").read_bytes(), type=Kept)
        with (folder / "body").open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, msgspec.DecodeError):
        return None
    return entry if sha256 == entry.sha256 else None


def _as_fetched(folder: Path, entry: Kept, was_cached: bool) -> Fetched:
    return Fetched(entry.url, folder / "body", entry.size, entry.sha256, was_cached)
