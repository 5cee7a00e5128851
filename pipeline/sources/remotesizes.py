"""Sizes of the binaries of remote build caches: fetched once for each hash, and kept for ever.

For each spec of an index that is a request: for its manifest in layout v3, or for that of its image in a registry.
They go out in parallel, and end where none of the first gives a size. What was found is kept for each mirror::

    CACHE/sizes/<SHA-256 of the mirror's URL>/sizes.json      {HASH: BYTES}
    CACHE/sizes/<SHA-256 of the mirror's URL>/asked.json      the checksums of indexes of which all was asked for
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from pipeline.errors import Fault, NoFileError, RemoteError
from pipeline.io.disk import refuse_planted, renew_file
from pipeline.io.progress import Progress
from pipeline.io.urls import change_path, show_url
from pipeline.sources.download import RemoteFiles
from pipeline.sources.files import read_index_bytes, read_small_bytes, unpack
from pipeline.sources.oci import is_index_tag, name_image
from pipeline.sources.sizes import SPEC_MANIFESTS, decode_sizes, name_manifest, read_image_size, read_manifest_size

FIRST_CHUNK, CHUNK = 16, 2000
"""So many sizes are asked for before any is given up on, and between two times that they are written down."""
MOST_INDEXES = 100
"""Checksums that are kept of a mirror: of its index and views, as they were of late."""


class _Named(msgspec.Struct, gc=False):
    name: str
    version: str


class _Record(msgspec.Struct, gc=False):
    spec: _Named
    in_buildcache: bool = False


class _Database(msgspec.Struct, gc=False):
    installs: dict[str, _Record]


class _File(msgspec.Struct, gc=False):
    database: _Database


_FILE = msgspec.json.Decoder(_File)


class Place(NamedTuple):
    """Where the manifests of a mirror's specs are: ``below`` a URL, of images where that is a registry's."""

    below: str
    is_registry: bool

    def locate(self, package: str, version: str, hash: str) -> str:
        """The URL of the manifest of a spec."""
        if self.is_registry:
            return f"{self.below}/{name_image(package, version, hash)}"
        path = f"{urlsplit(self.below).path}/{quote(package)}/{quote(name_manifest(package, version, hash))}"
        return change_path(self.below, path)

    def read(self, data: bytes) -> int:
        """As :func:`pipeline.sources.sizes.read_manifest_size`, or of an image."""
        return read_image_size(data) if self.is_registry else read_manifest_size(data)


def find_place(index: str) -> Place | None:
    """Where the manifests are that belong to the index at a URL; None in layout v2, which has none."""
    if is_index_tag(index):
        return Place(index.rpartition("/")[0], True)
    path = urlsplit(index).path
    for part in ("/v3/manifests/index/", "/blobs/sha256/"):
        mirror, found, _ = path.partition(part)
        if found:
            return Place(change_path(index, f"{mirror}/{SPEC_MANIFESTS}"), False)
    return None


def fetch_sizes(index: str, checksum: str, file: str, files: RemoteFiles, progress: Progress) -> str:
    """The path of the sizes of the specs of an index, which is at the URL ``index`` and in the local ``file``.

    It is empty where nothing says any, as of a mirror of layout v2. What cannot be fetched is noted in a line.
    """
    place = find_place(index)
    if place is None or not checksum:
        return ""
    folder = files.cache / "sizes" / hashlib.sha256(place.below.encode()).hexdigest()
    kept, asked = folder / "sizes.json", _read_list(folder / "asked.json")
    is_new = checksum not in asked or not kept.exists()
    if is_new and not files.offline and _fetch_missing(place, file, kept, files, progress):
        renew_file(folder / "asked.json", msgspec.json.encode([*asked, checksum][-MOST_INDEXES:]))
    return str(kept) if kept.exists() else ""


def _fetch_missing(place: Place, file: str, kept: Path, files: RemoteFiles, progress: Progress) -> bool:
    """Add the sizes to ``kept`` that are not there of the index in ``file``; returns whether all was asked for."""
    try:
        records = _FILE.decode(unpack(read_index_bytes(file)[0])).database.installs
    except (Fault, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # It is a reject when it is loaded.
    known = _read_sizes(kept)
    urls = {
        hash: place.locate(record.spec.name, record.spec.version, hash)
        for hash, record in records.items()
        if record.in_buildcache and hash not in known
    }
    del records
    refuse_planted(kept.parent)
    kept.parent.mkdir(parents=True, exist_ok=True)
    reasons: list[str] = []
    failed = False
    for chunk in _cut(list(urls)):
        before, done = len(known), files.fetch_all([urls[hash] for hash in chunk], progress.advance)
        for hash in chunk:
            found = done[urls[hash]]
            try:
                if isinstance(found, RemoteError):
                    raise found
                known[hash] = place.read(read_small_bytes(str(found.path)))
            except (RemoteError, ValueError, OSError) as error:
                # What is not there is not asked for again; what fails may be there at the next build.
                failed = failed or not isinstance(error, NoFileError | ValueError)
                reasons.append(str(error) if isinstance(error, RemoteError) else f"{show_url(urls[hash])}: {error}")
            files.forget(urls[hash])
        renew_file(kept, msgspec.json.encode(known, order="sorted"))
        if len(known) == before:
            break
    if unknown := sum(hash not in known for hash in urls):
        progress.note(f"warning: {unknown:,} of {len(urls):,} sizes are not known, the first: {reasons[0]}")
    return not failed


def _cut(hashes: Sequence[str]) -> Iterator[list[str]]:
    """The hashes in chunks, the first of them small."""
    rest = iter(hashes)
    size = FIRST_CHUNK
    while chunk := list(islice(rest, size)):
        yield chunk
        size = CHUNK


def _read_sizes(path: Path) -> dict[str, int]:
    try:
        return decode_sizes(read_index_bytes(str(path))[0])
    except (Fault, ValueError):
        return {}  # Not there, or damaged: they are fetched again.


def _read_list(path: Path) -> list[str]:
    try:
        return msgspec.json.decode(read_small_bytes(str(path)), type=list[str])
    except (OSError, ValueError):
        return []
