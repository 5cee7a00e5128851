"""Remote build caches: which URLs are the indexes of which stacks, fetched into the local cache.

A URL of a source may be that of a listing, of an index or its manifest, or of a mirror. What is fetched
becomes entries as those of local files, whose paths are the URLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from pipeline.errors import MissingFileError, RemoteError, SourceError, WarehouseError
from pipeline.progress import Progress
from pipeline.sources.buildcache import (
    LISTING,
    MANIFEST,
    V2_CHECKSUM,
    V2_INDEX,
    V3_INDEXES,
    Choice,
    choose_blob,
    name_mirror,
    read_listing,
)
from pipeline.sources.download import Fetched, RemoteFiles
from pipeline.sources.files import Entry, IndexRole, Source, look, show_url

_BLOB = re.compile(r"(.*)/blobs/sha256/[0-9a-f]{2}/([0-9a-f]{64})")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Wanted:
    """The index of a stack, by the URL of itself, of its manifest, or of its blob."""

    number: int
    snapshot: str
    stack: str
    url: str


def fetch_indexes(
    sources: Sequence[Source], choice: Choice, files: RemoteFiles, progress: Progress
) -> tuple[list[Entry], dict[int, str]]:
    """An entry for each index of the remote sources among ``sources``, its file in the local cache.

    An index that is gone, cannot be fetched, or is not as its checksum says becomes an entry that cannot be read,
    and so a reject. Beside them, by the number of a source: why it could not be read at all.
    """
    wanted: list[Wanted] = []
    failed: dict[int, str] = {}
    for number, source in enumerate(sources):
        if source.is_remote:
            try:
                wanted += _list_wanted(number, source, choice, files)
            except (RemoteError, SourceError) as error:
                failed[number] = _reason(error)
    return list(_fetch_wanted(wanted, files, progress)) if wanted else [], failed


def _fetch_wanted(wanted: Sequence[Wanted], files: RemoteFiles, progress: Progress) -> Iterator[Entry]:
    """An entry for each of ``wanted``."""
    progress.stage("fetching", 0, "B")
    # Manifests first: they name the blobs.
    manifests = files.fetch_all(
        [one.url for one in wanted if urlsplit(one.url).path.endswith(MANIFEST)], progress.advance
    )
    urls: dict[str, str] = {}
    faults: dict[str, str] = {}
    for one in wanted:
        found = manifests.get(one.url)
        urls[one.url] = one.url
        if isinstance(found, RemoteError):
            faults[one.url] = _reason(found)
        elif isinstance(found, Fetched):
            try:
                blob = choose_blob(found.path.read_bytes())
                urls[one.url] = f"{one.url.partition(f'/{V3_INDEXES}')[0]}/blobs/sha256/{blob[:2]}/{blob}"
            except ValueError as error:
                faults[one.url] = f"is no manifest of an index: {error}"
    checksums = {url: f"{url}{V2_CHECKSUM}" for url in urls.values() if urlsplit(url).path.endswith(".json")}
    needed = [url for key, url in urls.items() if key not in faults]
    got = files.fetch_all([*needed, *(checksums[url] for url in needed if url in checksums)], progress.advance)
    paths: set[tuple[int, str]] = set()
    for one in wanted:
        entry = _make_entry(one, urls[one.url], got, checksums, faults.get(one.url, ""))
        if (entry.source, entry.path) in paths:
            # One index may be named for several stacks: what it gives goes by its path.
            entry = msgspec.structs.replace(entry, path=f"{entry.path}#{one.snapshot}/{one.stack}")
        paths.add((entry.source, entry.path))
        yield entry


def _list_wanted(number: int, source: Source, choice: Choice, files: RemoteFiles) -> Iterator[Wanted]:
    """The indexes that one remote source names."""
    url, path = source.folder, urlsplit(source.folder).path
    if path.endswith(f"/{LISTING}"):
        try:
            listed = read_listing(files.fetch(url).path.read_bytes())
        except ValueError as error:
            raise SourceError(f"{show_url(url)}: {error}") from None
        for snapshot, stack, index in listed:
            if choice.takes(snapshot, stack):
                yield Wanted(number, snapshot, stack, index)
        return
    if not path.endswith((".json", MANIFEST)) and not _BLOB.fullmatch(path):
        url = _find_index(url, files)
    mirror = url.removesuffix(f"/{V2_INDEX}").partition(f"/{V3_INDEXES}")[0]
    if named := _BLOB.fullmatch(mirror):
        mirror = named[1]
    yield Wanted(number, *name_mirror(source, choice, show_url(mirror).rstrip("/")), url)


def _find_index(mirror: str, files: RemoteFiles) -> str:
    """The URL of a mirror's index, in whichever layout it is."""
    manifest, index = f"{mirror}/{V3_INDEXES}{MANIFEST}", f"{mirror}/{V2_INDEX}"
    try:
        files.fetch(manifest)
    except MissingFileError:
        try:
            files.fetch(index)
        except MissingFileError:
            missing = f"neither {V3_INDEXES}{MANIFEST} nor {V2_INDEX} is there"
            raise MissingFileError(f"{show_url(mirror)}: is no mirror: {missing}") from None
        return index
    return manifest


def _make_entry(
    one: Wanted, url: str, got: dict[str, Fetched | RemoteError], checksums: dict[str, str], fault: str
) -> Entry:
    path = show_url(one.url)
    found = got.get(url)
    if isinstance(found, RemoteError):
        fault = _reason(found)
    if fault or not isinstance(found, Fetched):
        return Entry(one.number, path, b"", IndexRole(one.snapshot, one.stack, fault=fault or "was not fetched"))
    checksum = ""
    if blob := _BLOB.fullmatch(urlsplit(url).path):
        checksum = blob[2]
    else:
        said = got.get(checksums.get(url, ""))
        if isinstance(said, Fetched):
            text = said.path.read_bytes()[:200].decode("ascii", "replace").strip().lower()
            checksum = text if _SHA256.fullmatch(text) else ""
    return look(one.number, str(found.path), path, IndexRole(one.snapshot, one.stack, checksum, str(found.path)))


def _reason(error: WarehouseError) -> str:
    """What is wrong, without the URL that the message begins with."""
    return str(error).partition(": ")[2] or str(error)
