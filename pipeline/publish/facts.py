"""What the pages of a site need to know of all snapshots, asked once: figures, sources, what came and left.

Whatever is asked here is asked for all snapshots together, and never once per page. Packages are those with a spec
in a stack, specs the distinct hashes in at least one stack: what stands in the root mirror alone is in no figure.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pipeline.ask.diff import SOURCE_MISSING, WHOLLY_LOST
from pipeline.spack.releases import RELEASED

Row = dict[str, Any]

TREND = 12
"""Snapshots in a sparkline, weeks without one included."""
NEWEST_FIRST = ("weekly", "develop", "release", "other")
"""Series in the order in which one of them leads the site: develop changes daily and is seldom whole."""

SNAPSHOTS = """
with held as (
    select snapshot, count(distinct package) as packages, count(*) as specs
    from specs where array_length(stacks) > 0 group by snapshot
),
read as (
    select snapshot, max(read_on) as read_on from sources group by snapshot
)
select
    snapshots.snapshot, snapshots.kind as series, cast(snapshots.date as varchar) as date,
    cast(read.read_on as varchar) as read_on,
    coalesce(held.packages, 0) as packages, coalesce(held.specs, 0) as specs, previous_snapshots.previous,
    previous_snapshots.skipped
from snapshots
left join held on snapshots.snapshot = held.snapshot
left join read on snapshots.snapshot = read.snapshot
left join previous_snapshots on snapshots.snapshot = previous_snapshots.snapshot
order by snapshots.sort_position
"""
STACKS = """
select
    snapshot, stack, count(distinct package) as packages, count(*) as specs,
    cast(sum(size_bytes) as bigint) as bytes, count(size_bytes) as sized
from spec_stacks where stack <> 'root' group by snapshot, stack order by snapshot, stack
"""
SOURCES = """
select
    source, kind, snapshot, stack, state, cast(read_on as varchar) as read_on, cast(last_seen as varchar) as last_seen,
    reason
from sources order by snapshot, stack, source, kind
"""
TURNOVER = """
with causes as (
    select
        to_snapshot as snapshot, stack, package, specs, cause,
        case
            when change = 'gained' then case when cause = $missing then 'unknown' else 'gained' end
            when cause = $missing then 'unknown'
            when list_contains($gone, cause) then 'lost'
            when cause like '% replaced' then 'replaced'
            else 'rebuilt'
        end as what,
        change
    from changes
)
select
    snapshot, stack,
    count(distinct case when what = 'gained' then package end) as gained,
    count(distinct case when what = 'lost' then package end) as lost,
    count(distinct case when what = 'unknown' then package end) as unknown,
    cast(coalesce(sum(case when what = 'replaced' then specs end), 0) as bigint) as replaced,
    cast(coalesce(sum(case when what = 'rebuilt' then specs end), 0) as bigint) as rebuilt,
    cast(coalesce(sum(case when change = 'lost' and what <> 'unknown' then specs end), 0) as bigint) as specs_left,
    cast(coalesce(sum(case when change = 'lost' and what = 'unknown' then specs end), 0) as bigint) as specs_unknown
from causes group by snapshot, stack
"""
MOVED = """
with held as (
    select distinct snapshot, package from coverage_by_stack
),
listed as (
    select to_snapshot as snapshot, package, change, bool_or(cause = $missing) as unknown
    from changes group by to_snapshot, package, change
),
moved as (
    select before.snapshot, held.package, 'lost' as change
    from previous_snapshots as before
    inner join held on before.previous = held.snapshot
    left join held as now on before.snapshot = now.snapshot and held.package = now.package
    where now.package is null
    union all
    select before.snapshot, held.package, 'gained' as change
    from previous_snapshots as before
    inner join held on before.snapshot = held.snapshot
    left join held as past on before.previous = past.snapshot and held.package = past.package
    where past.package is null
)
select moved.snapshot, moved.package, moved.change, coalesce(listed.unknown, true) as unknown
from moved
left join listed
    on
        moved.snapshot = listed.snapshot
        and moved.package = listed.package
        and moved.change = listed.change
order by moved.snapshot, moved.package
"""
CAUSE_COUNTS = """
select
    to_snapshot as snapshot, cause, count(distinct package) as packages, count(distinct stack) as stacks,
    cast(sum(specs) as bigint) as specs
from changes where change = 'lost' group by to_snapshot, cause
"""
GAINS = """
select distinct to_snapshot as snapshot, package, stack
from changes where change = 'gained' and cause <> $missing order by to_snapshot, package, stack
"""
NEWER = """
with newest as (
    select snapshot, package, any_value(newest_version) as version, count(*) as stacks,
        count(case when versions_behind = 0 then 1 end) as stacks_with
    from version_lag group by snapshot, package
),
keys as (
    select distinct package, version, version_key from specs
)
select now.snapshot, now.package, before.version as before, now.version as now, now.stacks_with, now.stacks
from previous_snapshots
inner join newest as now on previous_snapshots.snapshot = now.snapshot
inner join newest as before on previous_snapshots.previous = before.snapshot and now.package = before.package
inner join keys as new_key on now.package = new_key.package and now.version = new_key.version
inner join keys as old_key on before.package = old_key.package and before.version = old_key.version
where new_key.version_key > old_key.version_key
order by now.snapshot, now.stacks_with desc, now.package
"""
HEADS = """
select to_snapshot as snapshot, stack, head, package
from loss_heads order by to_snapshot, stack, head, package
"""
HELD_NOW = "select snapshot, package, count(*) as stacks from coverage_by_stack group by snapshot, package"


def read_rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: object = None) -> list[Row]:
    """The rows of a query, each by its columns' names."""
    return list(stream_rows(connection, query, parameters))


def stream_rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: object = None) -> Iterator[Row]:
    """The same, one after the other: as many are in memory as one fetch gives."""
    cursor = connection.cursor()
    cursor.execute(query, parameters)
    names = [column[0] for column in cursor.description or ()]
    while rows := cursor.fetchmany(5_000):
        for row in rows:
            yield dict(zip(names, row, strict=True))
    cursor.close()


def group_rows(rows: Sequence[Row], *keys: str) -> dict[Any, list[Row]]:
    """Rows by the values of one column, or of several as a tuple."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys)].append(row)
    return groups


@dataclass(frozen=True)
class SiteFacts:
    """What was asked, by snapshot or by (snapshot, stack); ``snapshots`` by ``sort_position``, the oldest first.

    ``focus`` is the snapshot that the site is about: the newest weekly one, or of the first series that there is.
    """

    snapshots: list[Row]
    focus: str | None
    stacks: Mapping[tuple[str, str], Row]
    states: Mapping[tuple[str, str], str]
    turnover: Mapping[tuple[str, str], Row]
    heads: Mapping[str, list[Row]]
    moved: Mapping[str, list[Row]]
    causes: Mapping[str, list[Row]]
    gains: Mapping[str, list[Row]]
    newer: Mapping[str, list[Row]]
    sources: Mapping[str | None, list[Row]]
    held: Mapping[tuple[str, str], int]

    def snapshot(self, name: str) -> Row:
        return next(one for one in self.snapshots if one["snapshot"] == name)

    def chain(self, name: str) -> list[Row]:
        """The snapshots of one line, the oldest first: a series, where develop comes after the weekly ones."""
        kinds = ("weekly", "develop") if self.snapshot(name)["series"] in ("weekly", "develop") else None
        kind = self.snapshot(name)["series"]
        return [one for one in self.snapshots if (one["series"] in kinds if kinds else one["series"] == kind)]

    def stacks_of(self, snapshot: str) -> list[str]:
        """The stacks that hold something in a snapshot, in text order."""
        return [stack for (of, stack) in self.stacks if of == snapshot]


def read_facts(connection: duckdb.DuckDBPyConnection) -> SiteFacts:
    """Ask for all of it."""
    missing = {"missing": SOURCE_MISSING}
    snapshots = [{**row, "released": RELEASED.get(row["snapshot"])} for row in read_rows(connection, SNAPSHOTS)]
    states = read_rows(connection, "select snapshot, stack, state from stack_state order by snapshot, stack")
    turnover = read_rows(connection, TURNOVER, {**missing, "gone": list(WHOLLY_LOST)})
    heads = read_rows(connection, HEADS)
    return SiteFacts(
        snapshots=snapshots,
        focus=choose_focus(snapshots),
        stacks={(row["snapshot"], row["stack"]): row for row in read_rows(connection, STACKS)},
        states={(row["snapshot"], row["stack"]): row["state"] for row in states},
        turnover={(row["snapshot"], row["stack"]): row for row in turnover},
        heads=group_rows(heads, "snapshot"),
        moved=group_rows(read_rows(connection, MOVED, missing), "snapshot"),
        causes=group_rows(read_rows(connection, CAUSE_COUNTS), "snapshot"),
        gains=group_rows(read_rows(connection, GAINS, missing), "snapshot"),
        newer=group_rows(read_rows(connection, NEWER), "snapshot"),
        sources=group_rows(read_rows(connection, SOURCES), "snapshot"),
        held={(row["snapshot"], row["package"]): row["stacks"] for row in read_rows(connection, HELD_NOW)},
    )


def choose_focus(snapshots: Sequence[Row]) -> str | None:
    """The newest snapshot of the first series of :data:`NEWEST_FIRST` that has one."""
    newest = {one["series"]: one["snapshot"] for one in snapshots}
    return next((newest[kind] for kind in NEWEST_FIRST if kind in newest), None)


def list_weeks(facts: SiteFacts, name: str, most: int) -> list[str | None]:
    """The last snapshots of a line up to one, the oldest first; None stands for weeks that have none."""
    chain = facts.chain(name)
    upto = chain[: [one["snapshot"] for one in chain].index(name) + 1]
    weeks: list[str | None] = []
    for before, this in zip([None, *upto], upto, strict=False):
        if before is not None and is_apart(before["date"], this["date"]):
            weeks.append(None)
        weeks.append(this["snapshot"])
    return weeks[-most:]


def is_apart(before: str | None, after: str | None) -> bool:
    """Whether a week without a snapshot lies between two dates; weeks go from Monday to Sunday."""
    if before is None or after is None:
        return False
    weeks = [(dt.date.fromisoformat(date).toordinal() - 1) // 7 for date in (before, after)]
    return weeks[1] - weeks[0] > 1


def count_packages(facts: SiteFacts, snapshot: str | None, stack: str) -> int | None:
    """The packages of a stack; None where there is no snapshot, or what the stack holds is not known."""
    if snapshot is None or facts.states.get((snapshot, stack)) in (None, "unknown", "not begun"):
        return None
    held = facts.stacks.get((snapshot, stack))
    return held["packages"] if held else 0


def share_kept(held: Sequence[Row | None], moved: Sequence[Row | None]) -> float | None:
    """The share of the specs that stacks ``held`` before and still hold, by hash.

    ``moved`` is their turnover. Specs of which nothing is known count on neither side; None where there are no others.
    """
    unknown, left = (sum(row[key] for row in moved if row) for key in ("specs_unknown", "specs_left"))
    judged = sum(row["specs"] for row in held if row) - unknown
    return 1 - left / judged if judged else None
