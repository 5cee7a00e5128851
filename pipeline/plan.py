"""Compare the sources with what the last build knew: what is there to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from pipeline.errors import Fault
from pipeline.source import Entry, Root, read_page_bytes
from pipeline.state import Seen, State


@dataclass(frozen=True)
class Plan:
    """What became of the files since the last build.

    ``kept`` are as they were, ``fresh`` are new or changed and must be read, ``gone`` are no more.
    """

    kept: list[Seen]
    fresh: list[Entry]
    gone: list[Seen]


def make_plan(roots: Sequence[Root], entries: Iterable[Entry], last: State | None) -> Plan:
    """Compare ``entries`` with the state of the last build.

    A file whose times have changed is read, and kept if its bytes are the same.
    """
    known = index_seen(last)
    kept: list[Seen] = []
    fresh: list[Entry] = []
    for entry in entries:
        before = known.pop((entry.root, entry.path), None)
        if before is not None and entry.signature and entry.signature == before.entry.signature:
            kept.append(before)
        elif before is not None and before.reject is None and has_same_bytes(roots[entry.root], entry, before):
            kept.append(msgspec.structs.replace(before, entry=entry))
        else:
            fresh.append(entry)
    return Plan(kept, fresh, list(known.values()))


def has_same_bytes(root: Root, entry: Entry, before: Seen) -> bool:
    try:
        _, sha256 = read_page_bytes(root.locate(entry))
    except Fault:
        return False
    return sha256 == before.sha256


def find_changed(fresh: Iterable[Seen], last: State | None) -> bool:
    """Whether any file gives other rows than it gave the last build."""
    before = index_seen(last)
    return any(one.entry_key not in before or not one.same_content(before[one.entry_key]) for one in fresh)


def find_affected(fresh: Iterable[Seen], gone: Iterable[Seen], last: State | None) -> set[str]:
    """The snapshots that gain, lose or change a page by what reading the ``fresh`` files gave."""
    before = index_seen(last)
    affected = {one.snapshot for one in gone}
    for one in fresh:
        was = before.get(one.entry_key)
        if was is None or not one.same_content(was):
            affected |= {one.snapshot, was.snapshot if was else None}
    return {snapshot for snapshot in affected if snapshot is not None}


def index_seen(last: State | None) -> dict[tuple[int, str], Seen]:
    """What the last build saw, by source and path."""
    return {one.entry_key: one for one in last.seen} if last else {}
