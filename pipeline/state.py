"""What a build knew of its input and wrote, kept with it, so that the next one does only what changed.

The state stands beside the build's files and is published with them. It is trusted only if every
byte of what it describes is there: a state that is damaged, or of another version of the project
or its libraries, or whose files are not as they were written, counts as none.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pipeline import __version__, sqlfiles
from pipeline.layout import BuildPaths, Layout
from pipeline.normalise import Reject
from pipeline.source import Entry

RACY_NS = 2_000_000_000
"""A file changed this shortly before it was looked at may change again without its times telling."""


class Rows(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where a page's rows stand in the spilled tables of its batch."""

    batch: str
    page: int
    specs: int
    num_specs: int
    rejects: int
    num_rejects: int

    def span(self, kind: str) -> tuple[int, int]:
        """Start and length of the page's rows in the table of one kind."""
        spans = {
            "pages": (self.page, 1),
            "specs": (self.specs, self.num_specs),
            "rejects": (self.rejects, self.num_rejects),
        }
        return spans[kind]


class Seen(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What reading one file gave.

    A page has a snapshot and a package; a file that cannot be loaded has a ``reject``; a file
    that is no page has neither.
    """

    entry: Entry
    sha256: str = ""
    snapshot: str | None = None
    package: str | None = None
    num_specs: int = 0
    num_rejects: int = 0
    reject: Reject | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        return (self.snapshot, self.package) if self.snapshot is not None and self.package is not None else None

    @property
    def names(self) -> dict[str, str | None]:
        return {"snapshot": self.snapshot, "package": self.package}

    @property
    def entry_key(self) -> tuple[int, str]:
        return (self.entry.root, self.entry.path)

    def same_content(self, other: Seen) -> bool:
        """Whether both give the same rows: all but the entry's signature is equal."""
        return msgspec.structs.replace(self, entry=other.entry) == other


class SnapshotRows(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What was written of a snapshot."""

    pages: int
    specs: int
    rows: int
    rejects: int


class State(msgspec.Struct):
    """A build's input (``seen``, every file of the sources) and output.

    ``snapshots`` counts what was written of each, ``files`` gives the SHA-256 of each file by its
    path, ``failed`` names the checks that failed.
    """

    fingerprint: str
    seen: list[Seen]
    snapshots: dict[str, SnapshotRows]
    files: dict[str, str]
    failed: list[str]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(State)


def fingerprint() -> str:
    """A digest of all that the output depends on besides the input: code, SQL and libraries."""
    digest = hashlib.sha256(__version__.encode())
    for name in ("archspec", "duckdb", "msgspec", "pyarrow", "PyYAML"):
        digest.update(f"{name}={importlib.metadata.version(name)};".encode())
    for path in [*sorted(Path(__file__).parent.glob("*.py")), *sqlfiles.all_files()]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def load_state(build: BuildPaths | None) -> State | None:
    """The state of a build, or None where there is none that can be trusted."""
    if build is None:
        return None
    try:
        state = _DECODER.decode(build.state.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    if state.fingerprint != fingerprint() or state.files != digest_files(build):
        return None
    return state


def save_state(build: BuildPaths, state: State) -> None:
    """Write the state of a build at once."""
    new = build.state.with_suffix(".new")
    new.write_bytes(_ENCODER.encode(state))
    new.replace(build.state)


def digest_files(build: BuildPaths) -> dict[str, str]:
    """SHA-256 of each file of a build but its state, by path."""
    digests = {}
    for folder, _, names in os.walk(build.folder):
        for name in names:
            path = Path(folder, name)
            if path != build.state:
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


def refresh_state(layout: Layout, state: State, seen: list[Seen], began_ns: int) -> None:
    """Note the files' new times in the state of the published build, which stays as it is."""
    assert layout.current is not None
    state.seen = distrust_racy(seen, began_ns)
    save_state(layout.current, state)
    layout.sweep()
