"""Compare the sources with what the last build knew: what is there to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pipeline.errors import Fault
from pipeline.sources.files import Entry, Root, read_index_bytes, read_page_bytes
from pipeline.store.state import Seen


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


def make_plan(roots: Sequence[Root], entries: Iterable[Entry], last: Iterable[Seen]) -> Plan:
    """Compare ``entries`` with what the last build saw.

    A file whose times have changed is read, and kept if its bytes are the same.
    """
    before = {one.entry_key: one for one in last}
    known = dict(before)
    kept: list[Seen] = []
    fresh: list[Entry] = []
    for entry in entries:
        one = known.pop((entry.root, entry.path), None)
        if one is not None and entry.is_as(one.entry):
            kept.append(one)
        elif (
            one is not None
            and entry.index is one.entry.index is None
            and not one.reject
            and has_same_bytes(roots[entry.root], entry, one)
        ):
            kept.append(msgspec.structs.replace(one, entry=entry))
        else:
            fresh.append(entry)
    return Plan(kept, fresh, list(known.values()), before)


def has_same_bytes(root: Root, entry: Entry, before: Seen) -> bool:
    if entry.index != before.entry.index:
        return False
    read = read_page_bytes if entry.index is None else read_index_bytes
    try:
        _, sha256 = read(root.locate(entry))
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
