"""What stays of a warehouse that its sources do not give today, and what each source gave.

An index or a page that cannot be read today is not lost: the rows that it gave last stay, as stale. What is far
smaller than it was is not believed at once: the rows that it had stay, as shrunk. With ``keep`` a snapshot that the
sources no longer hold stays as it was, since Spack prunes old snapshots. All that is taken from the published
Parquet files, and so outlives another version of this program, a damaged state, and another choice of snapshots.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from pipeline.errors import WarehouseError, add_near
from pipeline.io.progress import name_some, number_of
from pipeline.layout import BuildPaths
from pipeline.sources.buildcache import LISTING, Choice
from pipeline.sources.files import Source
from pipeline.spack.readers import Readers, join_readers
from pipeline.store.published import Held, rename_sources
from pipeline.store.state import EMPTY, FAILED, LOADED, SHRUNK, STALE, Part, Place, Seen, SourceRow

SHRUNK_BELOW = 0.5
"""A source with less than this share of the specs that it had is not believed at once."""
_WORSE = (LOADED, SHRUNK, STALE)


@dataclass(frozen=True)
class Wishes:
    """What a user says of what stays.

    ``keep`` says whether snapshots that the sources no longer hold stay, None: as before; those named in ``drop`` go.
    ``accept`` names snapshots, ``SNAPSHOT/STACK`` or sources whose present content counts, however little it is.
    """

    keep: bool | None = None
    accept: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()

    def change(self, keep: bool) -> bool:
        """Whether they may change a warehouse of which ``keep`` says whether it keeps snapshots."""
        return bool(self.accept or self.drop) or self.keep not in (None, keep)

    def accepts(self, source: str | None, place: Place) -> bool:
        snapshot, stack = place
        return not self.accept.isdisjoint({source, snapshot, f"{snapshot}/{stack}"})


NO_WISHES = Wishes()


@dataclass(frozen=True)
class Found:
    """What a build finds in its ``sources`` on a ``day``.

    ``faults`` are, by the number of the source, why one could not be read at all; ``archives`` are warehouses that
    are sources: of them counts what no other source gives. ``explain`` says why a source gave nothing.
    """

    sources: Sequence[Source]
    seen: Iterable[Seen]
    choice: Choice
    day: dt.date
    faults: Mapping[int, str]
    archives: Mapping[int, Held]
    explain: Callable[[Source], str]


class Stay(NamedTuple):
    """A part that stays: the build that holds it, the number or name of its source, and why.

    ``amiss``: because something could not be read today, or shrank.
    """

    part: Part
    build: BuildPaths
    source: str | None
    reason: str | None
    amiss: bool = False


@dataclass(frozen=True)
class Settled:
    """What a build holds beside what it reads.

    ``rows`` are those of ``sources``, and ``stays`` are by snapshot. ``ignored`` are files, by source and path, that
    do not count, since what they held before stays. ``gone`` are snapshots that the last warehouse had,
    ``gone_within`` lines on what it had of snapshots that stand, and ``unnamed`` sources of it that are no longer
    named. ``void`` are lines on wishes that change nothing. ``unread`` says why, where not one source could be read.
    """

    rows: list[SourceRow]
    stays: dict[str, list[Stay]]
    ignored: set[tuple[int, str]]
    keep: bool
    gone: list[str]
    gone_within: list[str]
    unnamed: list[str]
    void: list[str]
    unread: list[str]

    @property
    def parts(self) -> list[Part]:
        return [stay.part for stays in self.stays.values() for stay in stays]

    def find_affected(self, last: Iterable[Part]) -> set[str]:
        """The snapshots of which other parts stay than the ``last`` build took from published ones."""
        return {part.snapshot for part in {*last} ^ {*self.parts}}


def settle(found: Found, held: Held, wishes: Wishes) -> Settled:
    """Decide what of the ``held`` warehouse stays beside what was ``found``, and note what each source gave.

    Raises:
        WarehouseError: a snapshot that is kept is damaged.
    """
    return _Settling(found, held, wishes).settle()


class _Settling:
    """One decision of :func:`settle`, step by step."""

    def __init__(self, found: Found, held: Held, wishes: Wishes) -> None:
        self.found, self.wishes = found, wishes
        self.names = [source.name for source in found.sources]
        self.held = rename_sources(held, self.names)
        self.faults = dict(found.faults)
        self.loaded: dict[tuple[int, Place], list[Seen]] = defaultdict(list)
        self.rejected: list[Seen] = []
        self.no_pages: list[Seen] = []
        for one in found.seen:
            if one.snapshot is not None:
                self.loaded[one.entry.source, one.place].append(one)
            elif one.reject is not None:
                self.rejected.append(one)
                if one.entry.path == "." and one.entry.index is None:
                    self.faults[one.entry.source] = one.reject.reason
            elif not one.sha256:
                self.no_pages.append(one)
        self.given = {one.part_key for files in self.loaded.values() for one in files}
        self.parts: dict[Place, list[Part]] = defaultdict(list)
        for part in held.parts:
            self.parts[part.place].append(part)
        self.owners: dict[Place, list[str | None]] = defaultdict(list)
        for row in self.held.rows:
            if row.snapshot is not None:
                self.owners[row.snapshot, row.stack].append(row.source)
        self.stays: dict[Part, Stay] = {}
        self.ignored: set[tuple[int, str]] = set()

    def settle(self) -> Settled:
        self._retain_unread()
        self._retain_shrunk()
        keep = self.held.keep if self.wishes.keep is None else self.wishes.keep
        self._keep_snapshots(keep)
        stays: dict[str, list[Stay]] = defaultdict(list)
        for stay in sorted(
            self.stays.values(), key=lambda stay: [value or "" for value in (*stay.part.place, stay.part.path)]
        ):
            stays[stay.part.snapshot].append(stay)
        rows = self._list_rows()
        standing = {row.snapshot for row in rows if row.specs is not None}
        gone = sorted({part.snapshot for part in self.held.parts} - standing)
        still = {row.source for row in rows}
        unnamed = sorted({row.source for row in self.held.rows if row.source is not None} - still)
        left = [
            part
            for part in self.held.parts
            if part.snapshot in standing and self._is_chosen(part) and not self._is_left_by(unnamed, part)
        ]
        places = {place for _, place in self.loaded} | {stay.part.place for stay in self.stays.values()}
        within = [*list_gone_within(left, places, self.given | {stay.part.key for stay in self.stays.values()})]
        void = [*self._list_void_accepts(), *self._list_void_drops(standing)]
        return Settled(rows, dict(stays), self.ignored, keep, gone, within, unnamed, void, self._list_unread())

    def _is_left_by(self, unnamed: Collection[str | None], part: Part) -> bool:
        """Whether all the sources that gave a part are no longer named."""
        owners = self.owners[part.place]
        return bool(owners) and all(owner in unnamed for owner in owners)

    def _list_void_accepts(self) -> list[str]:
        """A line for each name to accept that is of nothing here."""
        roles = [one.entry.index for one in self.rejected if one.entry.index is not None]
        places = {*self.parts, *(place for _, place in self.loaded), *((role.snapshot, role.stack) for role in roles)}
        named = {"/".join(filter(None, place)) for place in places} | {snapshot for snapshot, _ in places}
        void = sorted(self.wishes.accept - named - {*self.names})
        known = [*named, *self.names]
        return [
            add_near(f"--accept {name}: is no snapshot, SNAPSHOT/STACK or source here", name, known) for name in void
        ]

    def _list_void_drops(self, standing: Collection[str | None]) -> list[str]:
        """A line for each snapshot to drop that is none, or that a source gives."""
        given = sorted(name for name in self.wishes.drop if name in standing)
        held = {part.snapshot for part in self.held.parts} | {*self.held.damaged}
        void = sorted(self.wishes.drop - held - {*given})
        return [f"--drop {name}: a source gives it today, and it stays" for name in given] + [
            add_near(f"--drop {name}: is no snapshot of the warehouse", name, held) for name in void
        ]

    # What stays

    def _retain_unread(self) -> None:
        """Retain what was loaded before, and is rejected or fails whole today."""
        parts = sorted(self.held.parts, key=lambda part: part.path)
        paths = [part.path for part in parts]
        for one in self.rejected:
            assert one.reject is not None
            role, path = one.entry.index, one.entry.path
            if role is not None:
                place = role.snapshot, role.stack
                if self._is_owner(one.entry.source, place) or not self._is_given_by_owners(place):
                    self._retain(self.parts.get(place, []), one.entry.source, one.reject.reason)
                continue
            # A page; or a folder that cannot be read any more, or a link in its place that leads nowhere.
            for first, last in ((path, f"{path}\0"), (f"{path}/", f"{path}0")):
                within = parts[bisect_left(paths, first) : bisect_left(paths, last)]
                self._retain_owned(within, one.entry.source, one.reject.reason)
        for one in self.no_pages:
            within = parts[bisect_left(paths, one.entry.path) : bisect_right(paths, one.entry.path)]
            self._retain_owned(within, one.entry.source, "is no page any more")
        for number, reason in self.faults.items():
            self._retain(self._list_owned(number, True), number, reason)
        for number in self._list_empty():
            self._retain(self._list_owned(number, False), number, "holds nothing to load any more")

    def _is_owner(self, number: int, place: Place) -> bool:
        """Whether a place was of a source, as far as that is known."""
        return not self.owners[place] or self.names[number] in self.owners[place]

    def _is_given_by_owners(self, place: Place) -> bool:
        """Whether all the sources that a place was of give it today."""
        today = {self.names[number] for number, other in self.loaded if other == place}
        return today.issuperset(self.owners[place])

    def _is_chosen(self, part: Part) -> bool:
        choice = self.found.choice
        return choice.takes_snapshot(part.snapshot) if part.stack is None else choice.takes(part.snapshot, part.stack)

    def _retain_owned(self, parts: Iterable[Part], number: int, reason: str) -> None:
        self._retain([part for part in parts if self._is_owner(number, part.place)], number, reason)

    def _list_owned(self, number: int, also_unknown: bool) -> list[Part]:
        return [
            part
            for place, parts in self.parts.items()
            if (self.names[number] in self.owners[place]) or (also_unknown and not self.owners[place])
            for part in parts
        ]

    def _retain(self, parts: Iterable[Part], number: int, reason: str, state: str = STALE) -> None:
        """Let ``parts`` stay but for what another file gives today, what is not chosen, and what is let go."""
        name = self.names[number]
        for part in parts:
            if part.key in self.given or not self._is_chosen(part):
                continue
            if part.snapshot in self.wishes.drop or self.wishes.accepts(name, part.place):
                continue
            owners = self.owners[part.place]
            source = name if name in owners or not owners else owners[0]
            changed = msgspec.structs.replace(part, state=state)
            self.stays.setdefault(part, Stay(changed, self.held.build, source, reason, amiss=True))

    def _retain_shrunk(self) -> None:
        """Retain what has less than half of what the same source had, in place of what it gives today."""
        today: dict[Place, int] = defaultdict(int)
        for (_, place), files in self.loaded.items():
            today[place] += sum(one.num_specs for one in files)
        for stay in self.stays.values():
            if stay.part.place in today:
                today[stay.part.place] += stay.part.specs
        for place, specs in today.items():
            before = sum(part.specs for part in self.parts.get(place, ()))
            numbers = [number for number, other in self.loaded if other == place and self._is_owner(number, place)]
            if specs >= before * SHRUNK_BELOW or not numbers:
                continue
            if any(self.wishes.accepts(self.names[number], place) for number in numbers):
                continue
            for number in numbers:
                files = self.loaded.pop((number, place))
                self.ignored |= {one.entry_key for one in files}
                self.given -= {one.part_key for one in files}
            name = "/".join(filter(None, place))
            reason = f"has {specs:,} specs, and had {before:,}; if that is right: --accept {name}"
            self._retain(self.parts[place], numbers[0], reason, SHRUNK)

    def _keep_snapshots(self, keep: bool) -> None:
        """Let snapshots stay that no source gives today: from archives, and where they are kept as they were."""
        standing = {place[0] for _, place in self.loaded} | {stay.part.snapshot for stay in self.stays.values()}
        for snapshot in self.held.damaged if keep else ():
            if snapshot not in standing | self.wishes.drop:
                file = self.held.build.pages(snapshot)
                raise WarehouseError(
                    f"{file}: is damaged, and kept: let it go with --drop {snapshot}, or use --rollback"
                )
        archived: dict[str, list[Stay]] = {}
        for number, archive in self.found.archives.items():
            of_archive: dict[str, list[Stay]] = defaultdict(list)
            for part in archive.parts:
                if self.found.choice.takes_snapshot(part.snapshot) and part.snapshot not in standing:
                    of_archive[part.snapshot].append(Stay(part, archive.build, self.names[number], None))
            archived = {**of_archive, **archived}
        kept: dict[str, list[Stay]] = defaultdict(list)
        for part in self.held.parts if keep else ():
            source = next(iter(self.owners[part.place]), None)
            from_archive = part.snapshot in archived and archived[part.snapshot][0].source == source
            if part.snapshot not in standing and not from_archive:
                reason = "is kept: no source gives the snapshot today"
                kept[part.snapshot].append(Stay(part, self.held.build, source, reason))
        for snapshot, stays in {**archived, **kept}.items():
            if snapshot not in self.wishes.drop:
                self.stays |= {stay.part: stay for stay in stays}

    # What each source gave

    def _list_rows(self) -> list[SourceRow]:
        """The rows of ``sources``, in the order of source, snapshot and stack."""
        groups: dict[tuple[str | None, Place], tuple[list[Seen], list[Stay]]] = defaultdict(lambda: ([], []))
        for (number, place), files in self.loaded.items():
            groups[self.names[number], place][0].extend(files)
        for stay in self.stays.values():
            groups[stay.source, stay.part.place][1].append(stay)
        rows = [self._make_row(source, place, *group) for (source, place), group in groups.items()]
        rows += self._list_useless({(row.source, row.place) for row in rows})
        return sorted(
            rows, key=lambda row: [value or "" for value in (row.source, row.snapshot, row.stack, row.reason)]
        )

    def _make_row(self, source: str | None, place: Place, files: Sequence[Seen], stays: Sequence[Stay]) -> SourceRow:
        """The row of one source and place, of what was loaded today and what stays."""
        archive = next((self.found.archives[n] for n in self.found.archives if self.names[n] == source), None)
        before = self.held if archive is None else archive
        last = next((row for row in before.rows if row.place == place and (archive or row.source == source)), None)
        read_on = last.read_on if last else None
        same = {part.sha256 for part in self.parts.get(place, ())}
        if files and not (last and all(one.sha256 in same for one in files)):
            read_on = self.found.day
        reasons = list(dict.fromkeys(stay.reason for stay in stays if stay.reason))
        warnings = [one.warning for one in files if one.warning]
        state = max((stay.part.state for stay in stays), key=_WORSE.index, default=LOADED)
        last_seen = None
        if stays and last is not None:
            last_seen = last.last_seen or (before.looked_on or last.read_on if archive is None else None)
        if archive is not None:
            kind, reasons = "warehouse", [last.reason] if last and last.reason else reasons
        else:
            kind = _name_kind(source, place[1])
        readers = [one.readers for one in files]
        if stays:
            readers.append(Readers() if last is None else last.readers)
        spack_oldest, spack_newest = join_readers(readers)
        return SourceRow(
            source,
            kind,
            *place,
            state,
            read_on,
            last_seen,
            records=sum(one.records for one in files) + sum(stay.part.records for stay in stays),
            specs=sum(one.num_specs for one in files) + sum(stay.part.specs for stay in stays),
            reason=_describe(reasons, files, stays) or next(iter(warnings), None),
            amiss=any(stay.amiss for stay in stays),
            spack_oldest=spack_oldest,
            spack_newest=spack_newest,
        )

    def _list_useless(self, rows: set[tuple[str | None, tuple[str | None, str | None]]]) -> Iterator[SourceRow]:
        """Rows of what failed or is empty, and gave nothing before."""
        useful = {source for source, _ in rows}
        for one in self.rejected:
            role = one.entry.index
            name = self.names[one.entry.source]
            if role is not None and one.reject is not None and (name, (role.snapshot, role.stack)) not in rows:
                kind = _name_kind(name, role.stack)
                yield SourceRow(name, kind, role.snapshot, role.stack, FAILED, reason=one.reject.reason, amiss=True)
                useful.add(name)
        for number, name in enumerate(self.names):
            if name in useful:
                continue
            if number in self.faults:
                yield SourceRow(name, None, None, None, FAILED, reason=self.faults[number], amiss=True)
            elif number in self.found.archives:
                yield SourceRow(name, "warehouse", None, None, LOADED, reason="other sources give all that it holds")
            elif number in self._list_empty():
                yield SourceRow(name, None, None, None, EMPTY, reason=self.found.explain(self.found.sources[number]))
            else:
                yield SourceRow(name, None, None, None, FAILED, reason="every page of it is rejected", amiss=True)

    def _list_empty(self) -> list[int]:
        """Sources that could be read and hold nothing to load."""
        useful = {number for number, _ in self.loaded} | {one.entry.source for one in self.rejected}
        useful |= {number for number, archive in self.found.archives.items() if archive.parts} | self.faults.keys()
        return [number for number in range(len(self.names)) if number not in useful]

    def _list_unread(self) -> list[str]:
        """Why no source could be read, a line each; none where one could."""
        failed = {
            one.entry.source: f"{one.entry.path}: {one.reject.reason}"
            for one in self.rejected
            if one.entry.index and one.reject
        }
        reasons = {**failed, **self.faults}
        unread = reasons.keys() | set(self._list_empty())
        useful = {number for number, _ in self.loaded} | {source for source, _ in self.ignored}
        useful |= {one.entry.source for one in self.rejected if one.entry.index is None}
        if useful - self.faults.keys() or self.found.archives.keys() - unread or not reasons:
            return []
        return [f"{self.names[number]}: {reason}" for number, reason in sorted(reasons.items())]


def _name_kind(source: str | None, stack: str | None) -> str:
    """What kind of source gave the pages of a snapshot, or the index of a ``stack``."""
    if stack is None:
        return "pages"
    return "listing" if (source or "").endswith(LISTING) else "build cache"


def _describe(reasons: Sequence[str], files: Sequence[Seen], stays: Sequence[Stay]) -> str | None:
    """Why a row is not as it should be, in one sentence."""
    if not reasons:
        return None
    packages = [stay.part.package for stay in stays if stay.part.package is not None]
    if not files or not packages:
        return "; ".join(reasons[:3])
    of_all = f"{len(packages):,} of {len(packages) + len(files):,} pages"
    return f"{of_all}, {packages[0]} the first: {reasons[0]}"


SHOWN_NAMES = 10


def list_gone_within(
    parts: Iterable[Part], places: Collection[Place], keys: Collection[tuple[Place, str]]
) -> Iterator[str]:
    """A line for the stacks, and one for the pages, of each snapshot, that are in ``parts`` and stand no more.

    Stacks stand in ``places``, and pages have a key among ``keys``: an index may move, and is the same stack.
    """
    gone: dict[tuple[str, str], set[str]] = defaultdict(set)
    for part in parts:
        if part.stack is not None and part.place not in places:
            gone[part.snapshot, "stack"].add(part.stack)
        elif part.package is not None and part.key not in keys:
            gone[part.snapshot, "page"].add(part.package)
    for (snapshot, noun), names in sorted(gone.items()):
        some = name_some(sorted(names), SHOWN_NAMES)
        yield f"no longer there, and gone from the warehouse: {snapshot}: {number_of(len(names), noun)}: {some}"
