"""What a build knew of its input and wrote, kept with it, so that the next one does only what changed.

The state stands beside the build's files and is published with them. It is trusted only if every
byte of what it describes is there: a state that is damaged, or of another version of the project
or its libraries, or whose files are not as they were written, counts as none.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline import __version__
from pipeline.errors import DuplicatePageError, Fault
from pipeline.io.disk import link_or_copy, renew_file
from pipeline.layout import BuildPaths, Layout
from pipeline.sources.buildcache import ALL, Choice
from pipeline.sources.files import Entry, Source, read_index_bytes, read_page_bytes
from pipeline.sources.tags import NO_TAGS, Tags
from pipeline.spack.readers import Readers, find_readers
from pipeline.specs.check import Reject
from pipeline.store import sqlfiles

FILES_OF_BATCH = 2**16
"""More than any batch has: with it, a batch and the number of a file in it are one number."""
RACY_NS = 2_000_000_000
"""A file changed this shortly before it was looked at may change again without a change of its times."""


LOADED, STALE, SHRUNK, FAILED, EMPTY = "loaded", "stale", "shrunk", "failed", "empty"
"""What became of a source, or of a part of it: see the table ``sources``."""
KEEP = b"keep"
"""The key of the metadata of ``sources.parquet`` that says whether snapshots are kept."""

Place = tuple[str, str | None]
"""A snapshot, and the stack of an index; None of pages."""


class Seen(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What reading one file gave.

    A page has a snapshot and a package, an index a snapshot and a stack; a file that cannot be loaded
    has a ``reject``; a file that is neither page nor index has none of them. ``warning`` is a line on what was
    loaded and may be wrong; it is empty where there is nothing to say. ``database`` is an index's version of Spack's
    database, ``sizes`` a digest of the sizes that lie beside it.
    """

    entry: Entry
    sha256: str = ""
    snapshot: str | None = None
    package: str | None = None
    num_specs: int = 0
    num_rejects: int = 0
    reject: Reject | None = None
    records: int = 0
    warning: str = ""
    database: str = ""
    sizes: str = ""

    @property
    def is_index(self) -> bool:
        return self.entry.index is not None

    @property
    def place(self) -> Place:
        assert self.snapshot is not None
        return self.snapshot, self.entry.index.stack if self.entry.index is not None else None

    @property
    def part_key(self) -> tuple[Place, str]:
        """As of :attr:`Part.key`."""
        return self.place, self.package if self.package is not None else self.entry.path

    @property
    def key(self) -> tuple[str, str]:
        """What there may be only one of: the page of a package in a snapshot; any number of indexes."""
        assert self.snapshot is not None
        return self.snapshot, self.package if self.package is not None else f"\0{self.entry.source}\0{self.entry.path}"

    @property
    def readers(self) -> Readers:
        """Which Spack reads it; no page is read by any."""
        return Readers() if self.entry.index is None else find_readers(self.database, self.entry.index.layout)

    @property
    def names(self) -> dict[str, str | None]:
        return {"snapshot": self.snapshot, "package": self.package}

    @property
    def entry_key(self) -> tuple[int, str]:
        return (self.entry.source, self.entry.path)

    def same_content(self, other: Seen) -> bool:
        """Whether both give the same rows: all but the entry's signature is equal."""
        return msgspec.structs.replace(self, entry=other.entry) == other


class Part(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one page or one index gave to a published warehouse: a row of its table ``pages``.

    ``specs`` are those loaded from it; ``records`` those of an index, of a page its specs and rejects.
    """

    snapshot: str
    path: str
    sha256: str
    specs: int
    records: int
    package: str | None = None
    stack: str | None = None
    state: str = LOADED

    @property
    def place(self) -> Place:
        return self.snapshot, self.stack

    @property
    def key(self) -> tuple[Place, str]:
        """What two files of a build may not both be: the page of a package, the index of a stack at a path."""
        return self.place, self.package if self.package is not None else self.path


class SourceRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of the table ``sources``; ``amiss``: because something could not be read in this build, or shrank."""

    source: str | None
    kind: str | None
    snapshot: str | None
    stack: str | None
    state: str
    read_on: dt.date | None = None
    last_seen: dt.date | None = None
    records: int | None = None
    specs: int | None = None
    reason: str | None = None
    amiss: bool = False
    spack_oldest: str | None = None
    spack_newest: str | None = None

    @property
    def place(self) -> tuple[str | None, str | None]:
        return self.snapshot, self.stack

    @property
    def readers(self) -> Readers:
        return Readers(self.spack_oldest, self.spack_newest)


class SnapshotRows(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What was written of a snapshot."""

    pages: int
    indexes: int
    specs: int
    rows: int
    rejects: int


class Looked(msgspec.Struct, frozen=True):
    """How many files the sources hold, and how many of them are pages, indexes or rejected as a whole."""

    files: int
    pages: int
    indexes: int
    rejects: int


class State(msgspec.Struct):
    """A build's input and output.

    ``seen`` is every file of the sources, packed: see :func:`pack_seen`. ``snapshots`` counts what was written of
    each, ``files`` gives the SHA-256 of each file by its path, ``failed`` names the checks that failed. ``names`` are
    the sources', ``rows`` those of the table ``sources``; ``parts`` were taken from published builds, and so many
    files ``ignored`` for them. ``keep`` says whether snapshots stay that the sources no longer hold, ``looked_on``
    on which day the sources were looked at last. ``tags`` are those of the sources' sites, and ``compared`` is what
    :func:`pipeline.store.changes.renew_changes` returned.
    """

    fingerprint: str
    seen: msgspec.Raw
    looked: Looked
    snapshots: dict[str, SnapshotRows]
    files: dict[str, str]
    failed: list[str]
    names: list[str]
    rows: list[SourceRow]
    parts: list[Part]
    ignored: int
    keep: bool
    looked_on: dt.date
    compared: dict[str, str]
    tags: Tags = NO_TAGS


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(State)
_SEEN = msgspec.msgpack.Decoder(list[Seen])


def pack_seen(seen: Iterable[Seen], began_ns: int) -> tuple[msgspec.Raw, Looked]:
    """Files as a state keeps them, in a quarter of the memory, in the order of source and path; and their counts."""
    ordered = sorted(distrust_racy(seen, began_ns), key=lambda one: one.entry_key)
    pages = sum(one.snapshot is not None and not one.is_index for one in ordered)
    indexes = sum(one.snapshot is not None and one.is_index for one in ordered)
    rejects = sum(one.reject is not None for one in ordered)
    return msgspec.Raw(_ENCODER.encode(ordered)), Looked(len(ordered), pages, indexes, rejects)


def fingerprint(choice: Choice, database: bool = True) -> str:
    """A digest of all that the output depends on besides the input: code, SQL, libraries, what is asked for."""
    digest = hashlib.sha256(f"{__version__} {choice} {database}".encode())
    for name in ("archspec", "duckdb", "msgspec", "polars", "pyarrow", "PyYAML"):
        digest.update(f"{name}={importlib.metadata.version(name)};".encode())
    package = Path(__file__).parents[1]
    modules = {path.relative_to(package).as_posix(): path for path in sorted(package.rglob("*.py"))}
    queries = {path.relative_to(sqlfiles.sql_folder()).as_posix(): path for path in sqlfiles.list_files()}
    for name, path in {**modules, **queries}.items():
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def read_state(build: BuildPaths) -> State | None:
    """The state of a build as it was written; None where there is none, or none that can be read."""
    try:
        return _DECODER.decode(build.state.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def load_state(
    build: BuildPaths | None, choice: Choice = ALL, database: bool = True
) -> tuple[State | None, list[Seen]]:
    """The state of a build and the files that it lists; None and none where no state can be trusted.

    What has no ``database`` is nothing to begin one with that has, and the other way round.
    """
    if build is None or (state := read_state(build)) is None:
        return None, []
    try:
        seen = _SEEN.decode(state.seen)
    except msgspec.DecodeError:
        return None, []
    if state.fingerprint != fingerprint(choice, database) or state.files != digest_files(build):
        return None, []
    return state, seen


class _Looked(msgspec.Struct):
    """What a state of any version says: see :attr:`State.looked_on`."""

    looked_on: dt.date | None = None


def read_looked_on(build: BuildPaths | None) -> dt.date | None:
    """The day on which a build's sources were looked at last; None without a build, or where its state does not say."""
    if build is None:
        return None
    try:
        return msgspec.msgpack.decode(build.state.read_bytes(), type=_Looked).looked_on
    except (OSError, msgspec.DecodeError):
        return None


def save_state(build: BuildPaths, state: State) -> None:
    """Write the state of a build at once."""
    renew_file(build.state, _ENCODER.encode(state))


def digest_files(build: BuildPaths) -> dict[str, str]:
    """SHA-256 of each file of a build but its state, by path; hidden files, which file systems leave, do not count."""
    digests = {}
    for folder, _, names in os.walk(build.folder):
        for name in names:
            path = Path(folder, name)
            if path != build.state and not name.startswith("."):
                with path.open("rb") as file:
                    digests[path.relative_to(build.folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return dict(sorted(digests.items()))


def distrust_racy(seen: Iterable[Seen], began_ns: int) -> list[Seen]:
    """``seen`` with the signatures emptied that a later change of the file might not alter.

    File systems keep times only so fine (2 s on FAT): a file changed just before it was looked at
    can change once more within the same tick and keep its size. Such a file is read again next time.
    """
    return [
        msgspec.structs.replace(one, entry=msgspec.structs.replace(one.entry, signature=b""))
        if one.entry.changed_ns > began_ns - RACY_NS
        else one
        for one in seen
    ]


def refresh_state(layout: Layout, state: State, seen: Iterable[Seen], began_ns: int, day: dt.date) -> None:
    """Note the files' new times, and the day, in the state of the published build, which stays as it is."""
    assert layout.current is not None
    state.seen, state.looked = pack_seen(seen, began_ns)
    state.looked_on = day
    save_state(layout.current, state)


@dataclass(frozen=True)
class Plan:
    """What became of the files since the last build.

    ``kept`` are as they were, ``fresh`` are new or changed and must be read, ``gone`` are no more;
    ``before`` is all that the last build saw, by source and path.
    """

    kept: list[Seen]
    fresh: list[Entry]
    gone: list[Seen]
    before: dict[tuple[int, str], Seen]

    def forget(self) -> None:
        """Give up what the plan holds: with many files it is most of a build's memory."""
        for held in (self.kept, self.fresh, self.gone, self.before):
            held.clear()


def make_plan(sources: Sequence[Source], entries: Iterable[Entry], last: Iterable[Seen]) -> Plan:
    """Compare ``entries`` with what the last build saw.

    A file whose times have changed is read, and kept if its bytes are the same.
    """
    before = {one.entry_key: one for one in last}
    known = dict(before)
    kept: list[Seen] = []
    fresh: list[Entry] = []
    for entry in entries:
        one = known.pop((entry.source, entry.path), None)
        if one is not None and entry.is_as(one.entry):
            kept.append(one)
        elif (
            one is not None
            and entry.index is one.entry.index is None
            and not one.reject
            and has_same_bytes(sources[entry.source], entry, one)
        ):
            kept.append(msgspec.structs.replace(one, entry=entry))
        else:
            fresh.append(entry)
    return Plan(kept, fresh, list(known.values()), before)


def has_same_bytes(source: Source, entry: Entry, before: Seen) -> bool:
    if entry.index != before.entry.index:
        return False
    read = read_page_bytes if entry.index is None else read_index_bytes
    try:
        _, sha256 = read(source.locate(entry))
    except Fault:
        return False
    return sha256 == before.sha256


def find_changed(fresh: Iterable[Seen], before: Mapping[tuple[int, str], Seen]) -> bool:
    """Whether any file gives other rows than it gave the last build."""
    return any(one.entry_key not in before or not one.same_content(before[one.entry_key]) for one in fresh)


def find_affected(fresh: Iterable[Seen], gone: Iterable[Seen], before: Mapping[tuple[int, str], Seen]) -> set[str]:
    """The snapshots that gain, lose or change a page by what reading the ``fresh`` files gave."""
    affected = {one.snapshot for one in gone}
    for one in fresh:
        was = before.get(one.entry_key)
        if was is None or not one.same_content(was):
            affected |= {one.snapshot, was.snapshot if was else None}
    return {snapshot for snapshot in affected if snapshot is not None}


def order_seen(seen: Iterable[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda one: one.entry_key)


def choose_pages(sources: Sequence[Source], seen: Iterable[Seen]) -> dict[str, list[Seen]]:
    """The indexes and pages of each snapshot, the pages in the order of their packages, one to a package.

    Raises:
        DuplicatePageError: two files that differ are the page of one package.
    """
    chosen: dict[tuple[str, str], Seen] = {}
    for one in order_seen(seen):
        first = chosen.setdefault(one.key, one)
        if first.sha256 != one.sha256:
            files = (sources[file.entry.source].locate(file.entry) for file in (first, one))
            raise DuplicatePageError(*one.key, *files)
    pages: dict[str, list[Seen]] = defaultdict(list)
    for (snapshot, _), one in sorted(chosen.items()):
        pages[snapshot].append(one)
    return dict(pages)


SNAPSHOT_FILES = (
    BuildPaths.spec_stacks,
    BuildPaths.pages,
    BuildPaths.dependencies,
    BuildPaths.records,
    BuildPaths.rejects,
)
"""The files of a snapshot, those that not every one has among them."""


def reuse(layout: Layout, build: BuildPaths, last: State, affected: set[str]) -> dict[str, SnapshotRows]:
    """Take the files of the snapshots that nothing affected from the published build."""
    current = layout.current
    assert current is not None
    unaffected = {snapshot: counts for snapshot, counts in last.snapshots.items() if snapshot not in affected}
    for snapshot in unaffected:
        for find in SNAPSHOT_FILES:
            old, new = find(current, snapshot), find(build, snapshot)
            if old.exists():
                link_or_copy(old, new)
    return unaffected
