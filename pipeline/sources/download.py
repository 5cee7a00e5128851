"""Files by URL, in a cache on disk: fetched once, asked after by ETag, and whole or not at all.

``https://`` and ``http://`` by httpx, ``s3://BUCKET/KEY`` by obstore, whose credentials, region and
endpoint come from the usual environment (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, …);
without credentials requests are not signed, as public buckets want it.

The cache has a folder for each URL::

    CACHE/<SHA-256 of the URL>/body         what the URL gave
    CACHE/<SHA-256 of the URL>/entry.json   its ETag, size and SHA-256, without which no body counts
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import msgspec
import tenacity

from pipeline.disk import ABANDONED, refuse_planted, renew_file, replacing, sweep_staged
from pipeline.errors import MissingFileError, RemoteError
from pipeline.sources.files import show_url

if TYPE_CHECKING:
    from obstore.store import S3Store

MOST_REDIRECTS = 5
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
_GONE = (404, 410)
_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Limits:
    """Bounds of each download: bytes, seconds, attempts; ``parallel`` downloads run at once."""

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

    With ``offline`` the cache alone answers. ``verify`` is httpx's: what TLS certificates are trusted.
    """

    def __init__(
        self,
        cache: Path,
        offline: bool = False,
        limits: Limits | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._cache = cache
        self._offline = offline
        self._limits = limits or Limits()
        self._client = httpx.Client(
            timeout=httpx.Timeout(self._limits.idle, connect=self._limits.connect),
            follow_redirects=False,
            verify=verify,
            headers={"User-Agent": "spack-warehouse", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> RemoteFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

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
            RemoteError: it cannot be had: the server or the network fails again and again, it is too
                large, not what its checksum says, or not in the cache while offline.
        """
        folder = self._cache / hashlib.sha256(url.encode()).hexdigest()
        cached = _load(folder)
        if cached is not None and (self._offline or (sha256 and cached.sha256 == sha256)):
            if sha256 and cached.sha256 != sha256:
                raise RemoteError(
                    f"{show_url(url)}: the cache holds another one than is wanted; build without --offline"
                )
            return _as_fetched(folder, cached, was_cached=True)
        if self._offline:
            raise RemoteError(f"{show_url(url)}: is not in the cache {self._cache}; build once without --offline")
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TransientError),
            stop=tenacity.stop_after_attempt(self._limits.attempts),
            wait=self._wait,
            reraise=True,
        )
        try:
            entry = retrying(self._download, url, folder, cached, sha256, advance)
        except _UnchangedError:
            assert cached is not None
            return _as_fetched(folder, cached, was_cached=True)
        except _TransientError as error:
            raise RemoteError(f"{show_url(url)}: {error.reason}, {self._limits.attempts} times") from None
        return _as_fetched(folder, entry, was_cached=False)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        backoff = tenacity.wait_random_exponential(multiplier=self._limits.pause, max=30)
        failed = state.outcome.exception() if state.outcome else None
        asked = failed.wait if isinstance(failed, _TransientError) else 0.0
        return max(backoff(state), min(asked, self._limits.idle))

    def _download(
        self, url: str, folder: Path, cached: Kept | None, sha256: str, advance: Callable[[int], None]
    ) -> Kept:
        """One attempt: the body to a file of its own, then to its place, then the entry that makes it count."""
        refuse_planted(folder)
        folder.mkdir(parents=True, exist_ok=True)
        sweep_staged(folder / "body", ABANDONED)
        etag = cached.etag if cached is not None else None
        read = self._read_s3 if urlsplit(url).scheme == "s3" else self._read_http
        deadline = time.monotonic() + self._limits.total
        digest = hashlib.sha256()
        size = 0
        with replacing(folder / "body") as file:
            parts = read(url, etag)
            expected, new_etag = next(parts)
            if isinstance(expected, int) and expected > self._limits.largest:
                raise RemoteError(f"{show_url(url)}: is larger than {self._limits.largest:,} bytes, with {expected:,}")
            for part in parts:
                assert isinstance(part, bytes)
                size += len(part)
                if size > self._limits.largest:
                    raise RemoteError(f"{show_url(url)}: is larger than {self._limits.largest:,} bytes")
                if time.monotonic() > deadline:
                    raise RemoteError(f"{show_url(url)}: takes longer than {self._limits.total:,.0f} seconds")
                digest.update(part)
                file.write(part)
                advance(len(part))
            if expected is not None and size != expected:
                raise _TransientError(f"ended after {size:,} of {expected:,} bytes")
            entry = Kept(url=show_url(url), etag=new_etag, size=size, sha256=digest.hexdigest())
            if sha256 and entry.sha256 != sha256:
                raise _TransientError(f"is truncated or altered: its SHA-256 is {entry.sha256}, not {sha256}")
        renew_file(folder / "entry.json", msgspec.json.encode(entry))
        return entry

    def _read_http(self, url: str, etag: str | None) -> Iterator[Any]:
        """The size and ETag that the server gives, and then the body in parts."""
        headers = {"If-None-Match": etag} if etag else {}
        try:
            request = self._client.build_request("GET", url, headers=headers)
            for _ in range(MOST_REDIRECTS + 1):
                response = self._client.send(request, stream=True)
                if response.next_request is None:
                    break
                response.close()
                request = _check_redirect(url, request.url, response.next_request)
            else:
                raise RemoteError(f"{show_url(url)}: is redirected more than {MOST_REDIRECTS} times")
            with contextlib.closing(response):
                _check_status(url, response)
                length = response.headers.get("Content-Length")
                yield int(length) if length and length.isdigit() else None, response.headers.get("ETag")
                yield from response.iter_raw()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
            raise RemoteError(f"{show_url(url)}: is no URL that can be fetched: {error}") from None
        except httpx.TransportError as error:
            if isinstance(error.__cause__ or error.__context__, ssl.SSLError) or "CERTIFICATE" in str(error):
                raise RemoteError(f"{show_url(url)}: TLS fails: {error}") from None
            raise _TransientError(_explain(error)) from None

    def _read_s3(self, url: str, etag: str | None) -> Iterator[Any]:
        import obstore
        from obstore.exceptions import NotModifiedError, PermissionDeniedError, UnauthenticatedError

        parts = urlsplit(url)
        try:
            store = self._open_bucket(parts.netloc)
            result = obstore.get(store, parts.path.lstrip("/"), options={"if_none_match": etag} if etag else None)
            yield result.meta["size"], result.meta["e_tag"]
            for part in result.stream():
                yield bytes(part)
        except NotModifiedError:
            raise _UnchangedError from None
        except FileNotFoundError:
            raise MissingFileError(f"{show_url(url)}: is gone: no such bucket or key") from None
        except (PermissionDeniedError, UnauthenticatedError):
            raise RemoteError(f"{show_url(url)}: access is denied; see AWS_ACCESS_KEY_ID in the environment") from None
        except (obstore.exceptions.BaseError, OSError, TimeoutError) as error:
            raise _TransientError(" ".join(str(error).split())[:200]) from None

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


def _check_redirect(url: str, before: httpx.URL, request: httpx.Request) -> httpx.Request:
    after = request.url
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise RemoteError(f"{show_url(url)}: is redirected to {after.scheme}, which is not followed")
    return request


def _check_status(url: str, response: httpx.Response) -> None:
    status = response.status_code
    if status == httpx.codes.NOT_MODIFIED:
        raise _UnchangedError
    if status in _GONE:
        raise MissingFileError(f"{show_url(url)}: is gone: {status} {response.reason_phrase}")
    if status in _AGAIN:
        after = response.headers.get("Retry-After", "")
        raise _TransientError(f"answers {status} {response.reason_phrase}", float(after) if after.isdigit() else 0.0)
    if status != httpx.codes.OK:
        raise RemoteError(f"{show_url(url)}: answers {status} {response.reason_phrase}")


def _explain(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time"
    return f"cannot be reached: {' '.join(str(error).split()) or type(error).__name__}"


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
