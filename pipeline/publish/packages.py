"""What the page of each package shows, one package after the other.

The warehouse is asked once for all packages, in their order, and the answers are read side by side: in memory is one
package at a time, and of the snapshots what :mod:`pipeline.publish.facts` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb

from pipeline.ask.diff import SOURCE_MISSING, WHOLLY_LOST
from pipeline.ask.scope import list_snapshots
from pipeline.publish.facts import Row, SiteFacts, group_rows, read_rows, stream_rows
from pipeline.report.pagedata import MIRROR

PACKAGES = """
select package, count(*) as specs from specs group by package order by package
"""
COVERAGE = """
select package, stack, snapshot, num_specs, latest_version, len(versions) as versions
from coverage_by_stack order by package, stack
"""
LAG = """
select package, stack, newest_version, versions_behind from version_lag where snapshot = $focus order by package, stack
"""
CHANGES = """
select
    package, to_snapshot as snapshot, from_snapshot as before, stack, change, cause, version, compiler, target,
    replaced_by, specs, variants_lost, variants_gained
from changes order by package, to_snapshot, stack, change, cause, version, compiler, target, replaced_by
"""
GAPS = """
select package, stack, platform, held_by, stacks from gaps where snapshot = $focus order by package, stack, platform
"""
CHOSEN = """
with placed as (
    select
        package, snapshot,
        list_position($order, snapshot)
        + case when bool_or(array_length(stacks) > 0) then 0 else len($order) end as place
    from specs group by package, snapshot
),
chosen as (
    select package, arg_min(snapshot, place) as snapshot from placed group by package
)
"""
"""By package the snapshot whose specs its page lists."""
SPECS = f"""{CHOSEN}
select
    specs.package, specs.snapshot, specs.hash, specs.version, specs.compiler, specs.target, specs.os, specs.platform,
    specs.variants, specs.stacks, specs.in_root, specs.size_bytes, specs.installable
from specs
inner join chosen on specs.package = chosen.package and specs.snapshot = chosen.snapshot
order by
    specs.package, specs.version_key desc, specs.version desc, specs.compiler, specs.platform, specs.target, specs.os,
    specs.hash
"""
MISSING = f"""{CHOSEN}
select
    missing.package, missing.hash, missing.missing_package, missing.missing_hash, missing.reason,
    min(missing.depth) as depth
from missing_dependencies as missing
inner join chosen on missing.package = chosen.package and missing.snapshot = chosen.snapshot
group by missing.package, missing.hash, missing.missing_package, missing.missing_hash, missing.reason
order by missing.package, missing.hash, depth, missing.missing_package, missing.missing_hash, missing.reason
"""


class Follower:
    """Rows in the order of their packages, read along with the packages."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._groups = groupby(rows, key=itemgetter("package"))
        self._next = next(self._groups, None)

    def take(self, package: str) -> list[Row]:
        """The rows of a package, without its name; packages before it are passed over."""
        while self._next is not None and self._next[0] < package:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != package:
            return []
        rows = [{key: value for key, value in row.items() if key != "package"} for row in self._next[1]]
        self._next = next(self._groups, None)
        return rows


def describe_packages(connection: duckdb.DuckDBPyConnection, facts: SiteFacts) -> Iterator[Row]:
    """What the page of each package shows, in the order of their names.

    ``missing`` are the nearest parts that keep a spec from installing without building, by hash.
    ``history`` has a row per stack that ever held the package; its lists run beside ``snapshots``, and have None where
    the stack did not hold it or that is not ``known``. ``specs`` are those of ``snapshot``: of the site's own, or else
    of the newest that has the package.
    """
    focus = {"focus": facts.focus}
    newest_first = [facts.focus, *(one.name for one in list_snapshots(connection) if one.name != facts.focus)]
    followers = {
        "coverage": Follower(stream_rows(connection, COVERAGE)),
        "lag": Follower(stream_rows(connection, LAG, focus)),
        "changes": Follower(stream_rows(connection, CHANGES)),
        "gaps": Follower(stream_rows(connection, GAPS, focus)),
        "specs": Follower(stream_rows(connection, SPECS, {"order": newest_first})),
        "missing": Follower(stream_rows(connection, MISSING, {"order": newest_first})),
    }
    heads = [{**row, "snapshot": snapshot} for snapshot, rows in facts.heads.items() for row in rows]
    went, took = group_rows(heads, "package"), group_rows(heads, "head")
    places = {one["snapshot"]: at for at, one in enumerate(facts.snapshots)}
    series = [{key: one[key] for key in ("snapshot", "series", "date")} for one in facts.snapshots]
    for package in (row["package"] for row in read_rows(connection, PACKAGES)):
        rows = {name: follower.take(package) for name, follower in followers.items()}
        specs = rows["specs"]
        listed = specs[0]["snapshot"]
        line = series[places[listed]]["series"]
        yield {
            "kind": "package",
            "package": package,
            "gone": False,
            "focus": facts.focus,
            "stacks": len(facts.stacks_of(facts.focus)) if facts.focus else 0,
            "newest_version": rows["lag"][0]["newest_version"] if rows["lag"] else None,
            "snapshots": series,
            "history": list_history(facts, rows["coverage"], rows["lag"], rows["changes"], places),
            "changes": rows["changes"],
            "went_with": [
                {key: row[key] for key in ("snapshot", "stack", "head")}
                for row in went.get(package, [])
                if row["head"] != package
            ],
            "took_along": [
                {key: row[key] for key in ("snapshot", "stack", "package")}
                for row in took.get(package, [])
                if row["package"] != package
            ],
            "gaps": rows["gaps"],
            "snapshot": listed,
            "mirror": None if line == "other" else f"{MIRROR}/{listed}",
            "specs": [{key: value for key, value in spec.items() if key != "snapshot"} for spec in specs],
            "missing": rows["missing"],
        }


def list_history(
    facts: SiteFacts, coverage: list[Row], lag: list[Row], changes: list[Row], places: dict[str, int]
) -> list[Row]:
    """A row per stack that ever held a package: its newest version, other versions and specs by snapshot.

    Of a stack that is held the package may be unknown all the same: where it is gone without proof, and in the
    snapshots that follow until a stack has it, or one proves that it left.
    """
    behind = {row["stack"]: row["versions_behind"] for row in lag}
    unproven = {
        (one["snapshot"], one["stack"]): one["cause"] == SOURCE_MISSING
        for one in changes
        if one["change"] == "lost" and one["cause"] in (*WHOLLY_LOST, SOURCE_MISSING)
    }
    held = {row["snapshot"] for row in coverage}
    history = []
    for stack, rows in group_rows(coverage, "stack").items():
        columns: dict[str, list[Any]] = {
            "versions": [None] * len(places),
            "other_versions": [0] * len(places),
            "specs": [0] * len(places),
        }
        for row in rows:
            at = places[row["snapshot"]]
            columns["versions"][at] = row["latest_version"]
            columns["other_versions"][at] = row["versions"] - 1
            columns["specs"][at] = row["num_specs"]
        states: dict[str, str] = {}
        for one in facts.snapshots:
            name, state = one["snapshot"], facts.states.get((one["snapshot"], stack), "unknown")
            still_unknown = name not in held and states.get(one["previous"]) == "unknown"
            states[name] = "unknown" if unproven.get((name, stack), still_unknown) else state
        history.append(
            {
                "stack": stack,
                "state": states[facts.focus] if facts.focus else "unknown",
                "versions_behind": behind.get(stack),
                "known": [state != "unknown" for state in states.values()],
                **columns,
            }
        )
    return history
