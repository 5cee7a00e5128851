"""Build caches among the files of the sources: which file is the index of which stack in which snapshot.

A mirror is a folder that holds a build cache, in either of the layouts that Spack has published
(https://spack.readthedocs.io/en/latest/binary_caches.html)::

    MIRROR/build_cache/index.json                        layout v2, up to Spack 0.23
    MIRROR/v3/manifests/index/index.manifest.json        layout v3, from Spack 1.0: names the index by its
    MIRROR/blobs/sha256/68/6867c5…                       checksum
    MIRROR/oci-layout, index.json, blobs/sha256/…         an image layout (pipeline.sources.oci)
    MIRROR/v3/manifests/index/VIEW/index.manifest.json   a part of it, a stack of its own (pipeline.sources.views)

Mirrors stand as Spack's own do, ``SNAPSHOT/STACK`` with the root mirror in ``SNAPSHOT`` itself, or as a
listing says, ``cache_spack_io_index.json``: ``{SNAPSHOT: [{"label": STACK, "url": URL}, …]}``.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from urllib.parse import unquote, urlsplit

import msgspec

from pipeline.errors import SourceError
from pipeline.schema import ROOT
from pipeline.sources.files import Entry, IndexRole, Source, cover, look, make_readable, read_small_bytes, scan
from pipeline.sources.kinds import explain_no_json, is_install_database
from pipeline.sources.oci import LAYOUT, LAYOUT_INDEX, choose_image, choose_layer
from pipeline.sources.sizes import SPEC_MANIFEST, SPEC_MANIFESTS
from pipeline.sources.views import choose_files, name_whole, read_view
from pipeline.spack.readers import IMAGE, V2, V3, VIEW

LISTING = "cache_spack_io_index.json"
V2_INDEX = "build_cache/index.json"
V2_CHECKSUM = ".hash"
V3_INDEXES = "v3/manifests/index/"
MANIFEST = "index.manifest.json"
_OF_A_CACHE = re.compile(r"(?:^|/)(?:build_cache|v3|blobs)(?=/)")
_MEDIA_TYPE = re.compile(r"application/vnd\.spack\.db\.v(\d+)\+json")
_BLOB = re.compile(r"(?:^|.*/)blobs/sha256/[0-9a-f]{2}/([0-9a-f]{64})")
_SNAPSHOT = re.compile(r"develop(-\d{4}-\d{2}-\d{2})?|v\d+(\.\d+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TELLING = (V2_INDEX, V2_INDEX + V2_CHECKSUM, MANIFEST, LISTING, LAYOUT)
_GLOB = re.compile(r"[*?\[]")

NEWEST_DATABASE = 9


class _Blob(msgspec.Struct):
    """What a manifest says of one blob."""

    checksum: str
    mediaType: str  # noqa: N815 - the manifest's own key
    checksumAlgorithm: str = "sha256"  # noqa: N815


class _Manifest(msgspec.Struct):
    data: list[_Blob]


class _Listed(msgspec.Struct):
    label: str
    url: str


_MANIFEST = msgspec.json.Decoder(_Manifest)
_LISTING = msgspec.json.Decoder(dict[str, list[_Listed]])


@dataclass(frozen=True)
class Choice:
    """Snapshots and stacks to take, as names or shell patterns; none given is all.

    A page is taken or not by its snapshot alone, and with all its stacks; the index of a build cache by
    both. For a source that is one mirror, a snapshot and a stack without a pattern's characters are not a
    choice but its names.
    """

    snapshots: tuple[str, ...] = ()
    stacks: tuple[str, ...] = ()

    def takes(self, snapshot: str, stack: str) -> bool:
        """Whether the index of a stack is taken."""
        return self.takes_snapshot(snapshot) and (
            not self.stacks or any(fnmatch.fnmatchcase(stack, pattern) for pattern in self.stacks)
        )

    def takes_snapshot(self, snapshot: str) -> bool:
        """Whether the pages of a snapshot are taken, and the indexes of its stacks that are chosen."""
        return not self.snapshots or any(fnmatch.fnmatchcase(snapshot, pattern) for pattern in self.snapshots)

    def describe(self) -> str:
        """What is taken, as text; empty where all is."""
        snapshots = f"only the snapshots {', '.join(self.snapshots)}" if self.snapshots else ""
        stacks = f"of build caches only the stacks {', '.join(self.stacks)}" if self.stacks else ""
        return "; ".join(filter(None, (snapshots, stacks)))

    @property
    def names(self) -> tuple[str | None, str | None]:
        """The one snapshot and the one stack that are named, None where none or a pattern is."""
        snapshot, stack = (
            given[0] if len(given) == 1 and not _GLOB.search(given[0]) else None
            for given in (self.snapshots, self.stacks)
        )
        return snapshot, stack


ALL = Choice()


def find_indexes(sources: Sequence[Source], entries: Iterable[Entry], choice: Choice) -> list[Entry]:
    """``entries`` with the indexes among them marked as such, and without the other files of build caches.

    An index that a manifest or a listing names and that is not there becomes an entry that cannot be
    read: the reject for it says that the stack is missing, and not empty.

    Raises:
        SourceError: a listing cannot be read as one, or nothing names the snapshot and stack of an index.
    """
    by_source: dict[int, list[Entry]] = defaultdict(list)
    found: list[Entry] = []
    for entry in entries:
        if entry.index is not None:
            found.append(entry)
        else:
            by_source[entry.source].append(entry)
    for number, held in by_source.items():
        found += _Finder(sources[number], number, held).find(choice)
    return separate_indexes(sources, found)


def separate_indexes(sources: Sequence[Source], entries: Sequence[Entry]) -> list[Entry]:
    """``entries`` in which no two indexes of a stack in a snapshot have one path: each then has its source's name, too.

    What an index gives goes by its path: two mirrors of the same shape may both hold ``v1/e4s``.
    """
    same: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.index is not None:
            same[entry.index.snapshot, entry.index.stack, entry.path].append(entry)
    named: dict[tuple[int, str], Entry] = {}
    for entry in chain.from_iterable(group for group in same.values() if len(group) > 1):
        named[entry.source, entry.path] = _rename(entry, sources[entry.source].name)
    return [named.get((entry.source, entry.path), entry) if entry.index else entry for entry in entries]


def _rename(entry: Entry, mark: str) -> Entry:
    """An index that goes by its path and a ``mark``, and is read where it was."""
    assert entry.index is not None
    role = msgspec.structs.replace(entry.index, file=entry.index.file or entry.path)
    return msgspec.structs.replace(entry, path=f"{entry.path}#{mark}", index=role)


class _Finder:
    """Finds the indexes among the files of one source."""

    def __init__(self, source: Source, number: int, entries: list[Entry]) -> None:
        self.source = source
        self.number = number
        self.entries = entries
        # Only files of these names matter; the table of the others would be large.
        self.paths = {
            entry.path: entry
            for entry in entries
            if entry.path.endswith((V2_INDEX, V2_INDEX + V2_CHECKSUM, MANIFEST, LISTING, LAYOUT))
            or _BLOB.fullmatch(entry.path)
        }
        self._manifests: dict[str, list[Entry]] | None = None

    def find(self, choice: Choice) -> list[Entry]:
        if self.source.only is not None:
            return self._find_only(choice)
        mirrors = self._find_mirrors()
        listings = [path for path in self.paths if posixpath.basename(path) == LISTING]
        if not mirrors and not listings:
            return self.entries
        indexes: dict[str, Entry] = {}
        for listing in listings:
            for entry in self._read_listing(listing):
                assert entry.index is not None
                if choice.takes(entry.index.snapshot, entry.index.stack):
                    indexes[entry.path] = entry
        listed = {posixpath.normpath(entry.path) for entry in indexes.values()}
        alone = len(mirrors) == 1 and not listings
        if not alone and (self.source.snapshot or self.source.stack):
            raise SourceError(f"{self.source.folder}: is given one name, and holds {len(mirrors)} mirrors and listings")
        for mirror, files in mirrors.items():
            named = alone and (mirror == "" or bool(self.source.snapshot or self.source.stack))
            place = self._place(mirror, mirrors) if not named else None
            for entry in self._make_indexes(mirror, files, choice, place):
                assert entry.index is not None
                if choice.takes(entry.index.snapshot, entry.index.stack) and entry.path not in listed:
                    indexes.setdefault(entry.path, entry)
        others = [entry for entry in self.entries if not _is_of_a_cache(entry.path, mirrors)]
        return [*others, *indexes.values()]

    def _find_only(self, choice: Choice) -> list[Entry]:
        """A source that is a single file: a page, an index, a manifest or a listing."""
        (entry,) = self.entries
        name = posixpath.basename(entry.path)
        if name == LISTING:
            indexes = self._read_listing(entry.path)
            return [one for one in indexes if one.index and choice.takes(one.index.snapshot, one.index.stack)]
        if not name.endswith(".json") or is_install_database(self._locate(entry.path)):
            return [entry]
        full = self._locate(entry.path)
        mirror = full.removesuffix(f"/{V2_INDEX}").partition(f"/{V3_INDEXES}")[0]
        if mirror == full:
            mirror = posixpath.dirname(full)
        snapshot, stack = name_index(self.source, choice, mirror, full)
        return [self._make_index(entry.path, snapshot, stack)]

    def _find_mirrors(self) -> dict[str, list[str]]:
        """Each mirror's path below the source, and the files that lead to its indexes."""
        mirrors: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self.paths):
            whole = f"/{path}"
            if whole.endswith(f"/{V2_INDEX}"):
                mirrors[whole.removesuffix(f"/{V2_INDEX}").lstrip("/")].append(path)
            elif f"/{V3_INDEXES}" in whole and whole.endswith(f"/{MANIFEST}"):
                mirrors[whole.partition(f"/{V3_INDEXES}")[0].lstrip("/")].append(path)
            elif posixpath.basename(path) == LAYOUT:
                mirrors[posixpath.dirname(path)].append(posixpath.join(posixpath.dirname(path), LAYOUT_INDEX))
        return mirrors

    def _make_indexes(
        self, mirror: str, files: Sequence[str], choice: Choice, place: tuple[str, str] | None
    ) -> list[Entry]:
        """The indexes of one mirror, of views and of the whole, that stands at ``place`` or, at None, is named."""
        given = (self.source.stack or choice.names[1]) if place is None else None
        snapshot, stack = place or name_mirror(self.source, choice, self._locate(mirror).rstrip("/"))
        try:
            files = choose_files(files, given)
        except ValueError as error:
            if not self.source.stack:
                return []  # It may be chosen from another source.
            raise SourceError(f"{make_readable(self._locate(mirror))}: {error}") from None
        views = [self._make_index(file, snapshot, read_view(file)) for file in files if read_view(file)]
        whole = [self._make_index(file, snapshot, stack) for file in files if not read_view(file)]
        if views and stack != ROOT:
            whole = name_whole(self.source.folder, whole, views)
        return [*whole, *views]

    def _place(self, mirror: str, mirrors: Mapping[str, object]) -> tuple[str, str]:
        is_root = any(posixpath.dirname(other) == mirror and other != mirror for other in mirrors)
        return place_mirror(posixpath.join(self.source.folder, mirror).rstrip("/"), is_root)

    def _make_index(self, file: str, snapshot: str, stack: str) -> Entry:
        """The entry of the index that ``file`` is, or that the manifest ``file`` names."""
        if file.endswith(MANIFEST):
            try:
                blob = choose_blob(self._read(file))
            except (OSError, ValueError) as error:
                fault = f"is no manifest of an index: {error}"
                return Entry(self.number, file, b"", IndexRole(snapshot, stack, fault=fault))
            mirror, found, _ = f"/{file}".partition(f"/{V3_INDEXES}")
            # A source that is a manifest alone has its blob above it.
            mirror = mirror[1:] if found else self._locate(file).partition(f"/{V3_INDEXES}")[0]
            path = posixpath.join(mirror, blob_path(blob))
            if make_readable(path) != path:
                return Entry(
                    self.number, file, b"", IndexRole(snapshot, stack, fault="the path of its blob is no UTF-8")
                )
            layout = VIEW if read_view(self._locate(file)) else V3
            manifests = self._list_spec_manifests(mirror)
            sizes = posixpath.join(mirror, SPEC_MANIFESTS) if manifests else ""
            role = IndexRole(snapshot, stack, blob, path, layout=layout, sizes=sizes)
            return cover(look(self.number, posixpath.join(self.source.folder, path), file, role), manifests)
        if os.path.isfile(self._locate(posixpath.join(posixpath.dirname(file), LAYOUT))):
            return self._make_image_index(file, snapshot, stack)
        if named := _BLOB.fullmatch(file):
            role = IndexRole(snapshot, stack, named[1], layout=V3)
        else:
            stated = b""
            with contextlib.suppress(OSError, ValueError):
                stated = self._read(file + V2_CHECKSUM)
            role = IndexRole(snapshot, stack, stated=read_checksum(stated), layout=V2)
        return look(self.number, self._locate(file), file, role)

    def _make_image_index(self, file: str, snapshot: str, stack: str) -> Entry:
        """The entry of the index in an OCI image layout, whose ``index.json`` is ``file``."""
        blobs = posixpath.join(posixpath.dirname(file), "blobs/sha256")
        try:
            image = choose_image(self._read(file))
            layer = choose_layer(self._read(f"{blobs}/{image}"))
        except (OSError, ValueError) as error:
            fault = f"is no OCI image layout of a build cache: {error}"
            return Entry(self.number, file, b"", IndexRole(snapshot, stack, fault=fault))
        path = f"{blobs}/{layer}"
        role = IndexRole(snapshot, stack, layer, path, layout=IMAGE, sizes=file)
        entry = look(self.number, self._locate(path), file, role)
        return cover(entry, [look(self.number, self._locate(file), file)])

    def _list_spec_manifests(self, mirror: str) -> list[Entry]:
        """The spec manifests of a mirror, which say the sizes of its specs."""
        if self.source.only is not None:
            folder = posixpath.join(self.source.folder, mirror, SPEC_MANIFESTS)
            return [*scan([Source(folder)])] if os.path.isdir(folder) else []
        if self._manifests is None:
            self._manifests = defaultdict(list)
            for entry in self.entries:
                if entry.path.endswith(SPEC_MANIFEST) and f"/{SPEC_MANIFESTS}/" in f"/{entry.path}":
                    self._manifests[f"/{entry.path}".partition(f"/{SPEC_MANIFESTS}/")[0][1:]].append(entry)
        return self._manifests.get(mirror, [])

    def _locate(self, path: str) -> str:
        return f"{self.source.folder}/{path}"

    def _read(self, path: str) -> bytes:
        try:
            return read_small_bytes(self._locate(path))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is no file") from None

    def _read_listing(self, listing: str) -> list[Entry]:
        """An entry for each stack that a listing names, whether its index is there or not."""
        place = self._locate(listing)
        try:
            listed = read_listing(self._read(listing))
        except (OSError, ValueError) as error:
            raise SourceError(f"{place}: {error}") from None
        folder = posixpath.dirname(listing)
        entries: dict[str, Entry] = {}
        for snapshot, stack, url in listed:
            key = urlsplit(url).path.lstrip("/")
            path = posixpath.normpath(posixpath.join(folder, key))
            if os.path.lexists(self._locate(path)):
                entry = self._make_index(path, snapshot, stack)
            else:
                role = IndexRole(snapshot, stack, fault=f"is not there, though {listing} lists it")
                entry = Entry(self.number, path, b"", role)
            if entry.path in entries:
                # One index may be named for several stacks: what it gives goes by its path.
                entry = _rename(entry, f"{snapshot}/{stack}")
            entries[entry.path] = entry
        return list(entries.values())


def _is_of_a_cache(path: str, mirrors: Container[str]) -> bool:
    """Whether a file is part of a build cache, and so no page: a binary, a manifest, a key, a listing."""
    return posixpath.basename(path) == LISTING or any(
        path[: part.start()] in mirrors for part in _OF_A_CACHE.finditer(path)
    )


def place_mirror(mirror: str, is_root: bool) -> tuple[str, str]:
    """The snapshot and stack that a mirror's path or URL names: the last two folders, as in Spack's own bucket.

    A mirror that others stand in (``is_root``), or one that is named as a snapshot, is the root mirror.

    Raises:
        SourceError: there are no such folders.
    """
    above, _, name = mirror.rpartition("/")
    snapshot, name = make_readable(posixpath.basename(above)), make_readable(name)
    if is_root or _SNAPSHOT.fullmatch(name):
        snapshot, name = name, ROOT
    if not snapshot or not name:
        raise SourceError(
            f"{make_readable(mirror) or '/'}: nothing names its snapshot and stack; "
            "name them with --snapshot and --stack"
        )
    return snapshot, name


def name_mirror(source: Source, choice: Choice, mirror: str) -> tuple[str, str]:
    """The snapshot and stack of a source that is one mirror: as it was named, or by its path or URL.

    Raises:
        SourceError: nothing names them.
    """
    snapshot, stack = (
        given or chosen for given, chosen in zip((source.snapshot, source.stack), choice.names, strict=True)
    )
    if snapshot and stack:
        return snapshot, stack
    placed = place_mirror(mirror, is_root=False)
    return snapshot or placed[0], stack or placed[1]


def name_index(source: Source, choice: Choice, mirror: str, index: str) -> tuple[str, str]:
    """The snapshot and stack of a source that is one index or its manifest, at ``index`` in ``mirror``: a view's stack
    is its name, unless the source was given another.

    Raises:
        SourceError: nothing names them.
    """
    snapshot, stack = name_mirror(source, choice, mirror)
    return snapshot, source.stack or choice.names[1] or read_view(index) or stack


def blob_path(checksum: str) -> str:
    """Where the blob of a checksum lies in a mirror of layout v3."""
    return f"blobs/sha256/{checksum[:2]}/{checksum}"


def read_checksum(data: bytes) -> str:
    """The SHA-256 that the file beside an index of layout v2 states; empty where it states none."""
    text = data[:200].decode("ascii", "replace").strip().lower()
    return text if _SHA256.fullmatch(text) else ""


def choose_blob(manifest: bytes) -> str:
    """The SHA-256 of the index that a manifest names: that of the newest database known, if it names several.

    Raises:
        ValueError: it is no manifest, or names no index that is known.
    """
    try:
        blobs = _MANIFEST.decode(manifest).data
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(explain_no_json(manifest, str(error))) from None
    versions: dict[int, _Blob] = {}
    for blob in blobs:
        media_type = _MEDIA_TYPE.fullmatch(blob.mediaType)
        if media_type and int(media_type[1]) <= NEWEST_DATABASE:
            versions[int(media_type[1])] = blob
    if not versions:
        names = ", ".join(sorted(blob.mediaType for blob in blobs)) or "nothing"
        raise ValueError(f"it names no database up to version {NEWEST_DATABASE}, but {names}")
    chosen = versions[max(versions)]
    if chosen.checksumAlgorithm != "sha256" or not _SHA256.fullmatch(chosen.checksum):
        raise ValueError(f"its checksum is no SHA-256: {chosen.checksumAlgorithm} {chosen.checksum[:80]}")
    return chosen.checksum


def read_listing(data: bytes) -> list[tuple[str, str, str]]:
    """Snapshot, stack and URL of each index that a listing names, in its order.

    Raises:
        ValueError: it is no listing.
    """
    try:
        listing = _LISTING.decode(data)
    except msgspec.ValidationError as error:
        raise ValueError(f"is no listing of build caches: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is no listing of build caches: {explain_no_json(data, str(error))}") from None
    for snapshot, stacks in listing.items():
        for number, one in enumerate(stacks):
            if not (snapshot and one.label and (snapshot + one.label).isprintable() and _may_stand_in(one.url)):
                raise ValueError(
                    f"is no listing of build caches: {snapshot[:80]!r}[{number}] names no snapshot, label and URL"
                )
    return [(snapshot, one.label, one.url) for snapshot, stacks in listing.items() for one in stacks]


def _may_stand_in(url: str) -> bool:
    """Whether a listing may name a URL: one that can be printed, and whose path stays below where it begins."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return False
    return url.isprintable() and ".." not in re.split(r"[/\\]", unquote(path))
