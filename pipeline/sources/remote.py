"""Remote build caches: which URLs are the indexes of which stacks, fetched into the local cache.

A URL of a source may be that of a listing, of an index or its manifest, or of a mirror. What is fetched
becomes entries as those of local files, whose paths are the URLs.

The views of a mirror in a bucket are found by listing the bucket. Plain http lists nothing: there a view counts where
a source or a listing names its manifest, and the index of the whole keeps the mirror's own name.

A listing leads to its own origin, and to no other that the user does not allow. What it names elsewhere is looked for
below the listing first, where it stands in the copy of a bucket.
"""

from __future__ import annotations

import os
import posixpath
import re
import urllib.request
from base64 import b64encode
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import msgspec

from pipeline.errors import MissingFileError, NoFileError, RemoteError, SourceError, WarehouseError
from pipeline.io.progress import Progress
from pipeline.io.urls import (
    OCI,
    borrow_credentials,
    change_path,
    extend_url,
    has_scheme,
    join_place,
    may_lead_to,
    show_url,
)
from pipeline.sources.buildcache import (
    LISTING,
    MANIFEST,
    V2_CHECKSUM,
    V2_INDEX,
    V3_INDEXES,
    Choice,
    blob_path,
    choose_blob,
    name_index,
    name_mirror,
    read_checksum,
    read_listing,
)
from pipeline.sources.download import Fetched, RemoteFiles
from pipeline.sources.files import Entry, IndexRole, Source, cover, look, read_small_bytes
from pipeline.sources.kinds import HTML, INSTALL_DATABASE, is_html, is_install_database
from pipeline.sources.oci import MANIFEST_TYPE, PASSWORD, USER, choose_layer, is_index_tag, locate_index
from pipeline.sources.remotesizes import fetch_sizes
from pipeline.sources.views import choose_files, name_whole, read_view
from pipeline.spack.readers import IMAGE, V2, V3, VIEW

_BLOB = re.compile(r"(.*)/blobs/sha256(?:/[0-9a-f]{2}/|:)([0-9a-f]{64})")


@dataclass(frozen=True)
class Wanted:
    """The index of a stack: the URLs that it may be at, of itself, of its manifest or of its blob, the first first.

    ``foreign`` is where a listing says that it is, shown, and nobody allows to ask; ``mirror`` the mirror's URL where
    its views are known.
    """

    number: int
    snapshot: str
    stack: str
    urls: tuple[str, ...]
    foreign: str = ""
    mirror: str = ""

    def make_role(
        self, file: str = "", checksum: str = "", stated: str = "", fault: str = "", layout: str = ""
    ) -> IndexRole:
        """What a file is: the index of this snapshot and stack; the other values are those of :class:`IndexRole`."""
        return IndexRole(self.snapshot, self.stack, checksum, file, fault, stated, layout)


def fetch_indexes(
    sources: Sequence[Source], choice: Choice, files: RemoteFiles, progress: Progress, sizes: bool = False
) -> tuple[list[Entry], dict[int, str]]:
    """An entry for each index of the remote sources among ``sources``, its file in the local cache.

    With ``sizes`` the sizes of the binaries are fetched too, as far as they are not there.

    An index that is gone, cannot be fetched, or is not as its checksum says becomes an entry that cannot be read,
    and so a reject. Beside them, by the number of a source: why it could not be read at all, as where it is a
    listing that cannot be read, or the snapshot and stack of a mirror are not known.
    """
    wanted: list[Wanted] = []
    failed: dict[int, str] = {}
    for number, source in enumerate(sources):
        if source.is_remote:
            try:
                wanted += _list_wanted(number, source, choice, files)
            except (RemoteError, SourceError) as error:
                failed[number] = _reason(error)
    fetched = list(_fetch_wanted(wanted, files, progress, sizes)) if wanted else []
    return list(_name_wholes(wanted, fetched, choice)), failed


def _name_wholes(wanted: Sequence[Wanted], entries: Sequence[Entry], choice: Choice) -> Iterator[Entry]:
    """The entries of ``wanted``; the index of the whole is ``root`` where it holds what its mirror's views hold."""
    beside: dict[tuple[int, str], list[Entry]] = {}
    for one, entry in zip(wanted, entries, strict=True):
        if one.mirror and read_view(one.urls[0]):
            beside.setdefault((one.number, one.mirror), []).append(entry)
    for one, entry in zip(wanted, entries, strict=True):
        views = beside.get((one.number, one.mirror), [])
        if not views:
            yield entry
            continue
        for named in [entry] if entry in views else name_whole("", [entry], views):
            # What the whole is called, and so whether it is chosen, is known only now.
            if named.index is not None and choice.takes(named.index.snapshot, named.index.stack):
                yield named


def _fetch_wanted(wanted: Sequence[Wanted], files: RemoteFiles, progress: Progress, sizes: bool) -> Iterator[Entry]:
    """An entry for each of ``wanted``."""
    progress.stage("fetching", 0, "B")
    urls = {one: one.urls[0] for one in wanted}
    got = _fetch(files, urls, progress)
    elsewhere = {one: one.urls[1] for one in wanted if len(one.urls) > 1 and isinstance(got[one], NoFileError)}
    if elsewhere:
        urls |= elsewhere
        got |= _fetch(files, elsewhere, progress)
    paths: set[tuple[int, str]] = set()
    for one in wanted:
        found = got[one]
        if isinstance(found, RemoteError):
            found = one.make_role(fault=_explain(found, one))
        elif sizes:
            place = fetch_sizes(urls[one], found.checksum, found.file, files, progress)
            found = msgspec.structs.replace(found, sizes=place)
        entry = look(one.number, found.file, show_url(urls[one]), found)
        if found.sizes:
            entry = cover(entry, [look(one.number, found.sizes, found.sizes)])
        if (entry.source, entry.path) in paths:
            # One index may be named for several stacks: what it gives goes by its path.
            entry = msgspec.structs.replace(entry, path=f"{entry.path}#{one.snapshot}/{one.stack}")
        paths.add((entry.source, entry.path))
        yield entry


def _explain(error: RemoteError, one: Wanted) -> str:
    reason = _reason(error)
    if one.foreign:
        return f"{reason}; the listing names {one.foreign}, which it may lead to only with --allow-host"
    return reason


def _list_wanted(number: int, source: Source, choice: Choice, files: RemoteFiles) -> Iterator[Wanted]:
    """The indexes that one remote source names."""
    url, path = source.folder, urlsplit(source.folder).path
    if has_scheme(url, OCI):
        manifest = locate_index(url)
        files.log_in(manifest.partition("/manifests/")[0] + "/", RegistryAuth())
        files.fetch(manifest)
        yield Wanted(number, *name_mirror(source, choice, source.place), (manifest,))
        return
    if is_install_database(path):
        raise SourceError(f"{source.place}: {INSTALL_DATABASE}")
    if path.endswith(f"/{LISTING}"):
        try:
            listed = read_listing(read_small_bytes(str(files.fetch(url).path)))
        except ValueError as error:
            raise SourceError(f"{source.place}: {error}") from None
        for snapshot, stack, index in listed:
            if choice.takes(snapshot, stack):
                yield Wanted(number, snapshot, stack, *_place_listed(source, index))
        return
    if not path.endswith(".json") and not _BLOB.fullmatch(path):
        yield from _list_mirror(number, source, choice, files)
        return
    mirror = urlsplit(url).path.removesuffix(f"/{V2_INDEX}").partition(f"/{V3_INDEXES}")[0]
    if named := _BLOB.fullmatch(mirror):
        mirror = named[1]
    place = show_url(change_path(url, mirror)).rstrip("/")
    yield Wanted(number, *name_index(source, choice, place, path), (url,))


def _list_mirror(number: int, source: Source, choice: Choice, files: RemoteFiles) -> Iterator[Wanted]:
    """The indexes of a source that is a mirror: of the whole, and of its views where it is in a bucket."""
    url = source.folder
    views = _list_views(url, files) if has_scheme(url, ("s3",)) else []
    try:
        indexes = [_find_index(url, files)]
    except NoFileError:
        if not views:
            raise
        indexes = []
    snapshot, stack = name_mirror(source, choice, show_url(url).rstrip("/"))
    given = source.stack or choice.names[1]
    try:
        chosen = choose_files([*indexes, *views], given)
    except ValueError as error:
        if source.stack:
            raise SourceError(f"{source.place}: {error}") from None
        return
    for index in chosen:
        yield Wanted(number, snapshot, given or read_view(index) or stack, (index,), mirror="" if given else url)


def _list_views(mirror: str, files: RemoteFiles) -> list[str]:
    """The URLs of the manifests of a bucket's views; none where nobody may list it."""
    below = extend_url(mirror, V3_INDEXES)
    try:
        listed = read_small_bytes(str(files.fetch(below).path))
    except NoFileError:
        return []
    except ValueError as error:
        raise RemoteError(f"{show_url(below)}: {error}") from None
    folder = urlsplit(below).path
    keys = [f"/{key}" for key in msgspec.json.decode(listed, type=list[str])]
    return [change_path(mirror, key) for key in keys if key.startswith(folder) and read_view(key)]


def _place_listed(source: Source, url: str) -> tuple[tuple[str, ...], str]:
    """Where the index may be that a listing names by ``url``, and where nobody allows to ask."""
    if may_lead_to(source.folder, url, ()):
        return (borrow_credentials(url, source.folder),), ""
    folder = posixpath.dirname(urlsplit(source.folder).path)
    own = change_path(source.folder, join_place(folder, url))
    if may_lead_to(source.folder, url, source.allow_hosts):
        return (own, url), ""
    return (own,), show_url(url) if "://" in url else ""


def _find_index(mirror: str, files: RemoteFiles) -> str:
    """The URL of a mirror's index, in whichever layout it is.

    A server that fails ends the search: the older layout of a mirror that has both is not taken for it.

    Raises:
        NoFileError: it is in none.
        RemoteError: the server or the network fails.
    """
    reasons = {}
    gone = True
    for layout in (V3_INDEXES + MANIFEST, V2_INDEX):
        url = extend_url(mirror, layout)
        try:
            with files.fetch(url).path.open("rb") as file:
                if not is_html(file.read(4096)):
                    return url
            reasons[layout] = HTML
        except NoFileError as error:
            reasons[layout] = _reason(error)
            gone = gone and isinstance(error, MissingFileError)
    each = "; ".join(f"{layout} {reason}" for layout, reason in reasons.items())
    raise (MissingFileError if gone else NoFileError)(f"{show_url(mirror)}: is no mirror that can be read: {each}")


def _fetch(files: RemoteFiles, urls: Mapping[Wanted, str], progress: Progress) -> dict[Wanted, IndexRole | RemoteError]:
    """What reading the index at each URL begins with, or why it cannot be had."""
    got: dict[Wanted, IndexRole | RemoteError] = {}
    # Manifests first: they name the blobs.
    manifests = files.fetch_all([url for url in urls.values() if _is_manifest(url)], progress.advance)
    blobs: dict[Wanted, str] = {}
    for one, url in urls.items():
        found = manifests.get(url)
        if isinstance(found, RemoteError):
            got[one] = found
        elif found is not None:
            try:
                data = read_small_bytes(str(found.path))
                blob = choose_layer(data) if is_index_tag(url) else choose_blob(data)
            except ValueError as error:
                got[one] = one.make_role(fault=f"is no manifest of an index: {error}")
                continue
            if is_index_tag(url):
                blobs[one] = f"{url.partition('/manifests/')[0]}/blobs/sha256:{blob}"
                continue
            mirror = urlsplit(url).path.partition(f"/{V3_INDEXES}")[0]
            blobs[one] = change_path(url, f"{mirror}/{blob_path(blob)}")
        else:
            blobs[one] = url
    stated = {one: _checksum_url(url) for one, url in blobs.items() if urlsplit(url).path.endswith(".json")}
    files_got = files.fetch_all([*blobs.values(), *stated.values()], progress.advance)
    for one, url in blobs.items():
        found = files_got[url]
        if isinstance(found, RemoteError):
            got[one] = found
            continue
        blob_named = _BLOB.fullmatch(urlsplit(url).path)
        beside = _read_stated(files_got[stated[one]]) if one in stated else ""
        layout = _find_layout(urls[one])
        got[one] = one.make_role(str(found.path), blob_named[2] if blob_named else "", beside, layout=layout)
    return got


def _find_layout(url: str) -> str:
    """The layout that an index has of which this is the URL, or that of its manifest or its blob."""
    if is_index_tag(url):
        return IMAGE
    path = urlsplit(url).path
    return VIEW if read_view(path) else V3 if path.endswith(MANIFEST) or _BLOB.fullmatch(path) else V2


def _read_stated(found: Fetched | RemoteError) -> str:
    """The checksum that a file beside an index states; without one the index is read as it is."""
    if isinstance(found, RemoteError):
        return ""
    try:
        return read_checksum(read_small_bytes(str(found.path)))
    except ValueError:
        return ""


def _is_manifest(url: str) -> bool:
    return urlsplit(url).path.endswith(MANIFEST) or is_index_tag(url)


def _checksum_url(url: str) -> str:
    return change_path(url, urlsplit(url).path + V2_CHECKSUM)


def _reason(error: WarehouseError) -> str:
    """What is wrong, without the URL that the message begins with."""
    return str(error).partition(": ")[2] or str(error)


class RegistryAuth(httpx.Auth):
    """How a registry lets one in: anonymously first, then as its 401 asks: by a token, else by user and password.

    A token is asked for by https alone, with the user and password of the environment where both are there.
    """

    def __init__(self) -> None:
        self._header = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield requests and take their answers, as httpx asks of an ``Auth``; the header that lets one in is kept."""
        request.headers["Accept"] = f"{MANIFEST_TYPE}, */*;q=0.1"
        if self._header:
            request.headers["Authorization"] = self._header
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        user, password = os.environ.get(USER), os.environ.get(PASSWORD)
        basic = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}" if user and password else ""
        challenges = {
            kind.lower(): urllib.request.parse_keqv_list(urllib.request.parse_http_list(rest))
            for value in response.headers.get_list("WWW-Authenticate")
            for kind, _, rest in [value.partition(" ")]
            if "=" in rest
        }
        asked = challenges.get("bearer", {})
        if asked.get("realm", "").startswith("https://") and {"service", "scope"} <= asked.keys():
            query = {"service": asked["service"], "scope": asked["scope"], "client_id": "spack"}
            headers = {"Authorization": basic} if basic else {}
            answer = yield httpx.Request("GET", asked["realm"], params=query, headers=headers)
            token = _read_token(answer) if answer.status_code == httpx.codes.OK else ""
            self._header = f"Bearer {token}" if token else ""
        elif "basic" in challenges and basic:
            self._header = basic
        else:
            return
        if self._header:
            request.headers["Authorization"] = self._header
            yield request


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


def _read_token(answer: httpx.Response) -> str:
    try:
        found = msgspec.json.decode(answer.read(), type=_Token)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    token = found.token or found.access_token
    return token if token.isascii() and token.isprintable() else ""
