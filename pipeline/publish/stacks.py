"""What the page of each stack shows: asked once for all stacks of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from pipeline.publish.facts import (
    TREND,
    Row,
    SiteFacts,
    count_packages,
    group_rows,
    list_weeks,
    read_rows,
    share_kept,
)
from pipeline.publish.snapshots import describe_stacks
from pipeline.report.pagedata import MIRROR

BUILT_FOR = """
select stack, platform, os, target, count(*) as specs
from spec_stacks where snapshot = $snapshot and stack <> 'root' group by stack, platform, os, target
order by stack, specs desc, platform, os, target
"""
COMPILERS = """
select stack, compiler, packages, specs from stack_by_compiler where snapshot = $snapshot
order by stack, specs desc, compiler
"""
TWINS = """
with named as (
    select package, min(namespace) as namespace
    from specs where snapshot = $snapshot and namespace is not null
    group by package having min(namespace) = max(namespace)
),
configurations as (
    select distinct
        spec_stacks.stack, spec_stacks.package, spec_stacks.version, spec_stacks.compiler_raw, spec_stacks.os,
        spec_stacks.platform, spec_stacks.target, spec_stacks.variants,
        coalesce(spec_stacks.namespace, named.namespace) as namespace
    from spec_stacks left join named on spec_stacks.package = named.package
    where spec_stacks.snapshot = $snapshot and spec_stacks.stack <> 'root'
)
select stack, count(*) as configurations from configurations group by stack
"""
IN_ROOT = """
select placed.stack, count(case when placed.in_root then 1 end) as in_root
from (select unnest(stacks) as stack, in_root from specs where snapshot = $snapshot) as placed group by placed.stack
"""
INSTALLABLE = """
select stack, installable, installable_known from summary_by_stack where snapshot = $snapshot order by stack
"""
HELD = """
select held.stack, held.package, held.latest_version as version, held.num_specs as specs,
    lag.newest_version, lag.versions_behind
from coverage_by_stack as held
inner join version_lag as lag
    on held.snapshot = lag.snapshot and held.package = lag.package and held.stack = lag.stack
where held.snapshot = $snapshot order by held.stack, held.package
"""
GAPS = """
select stack, package, platform, held_by, stacks from gaps where snapshot = $snapshot
order by stack, held_by desc, package, platform
"""
SHARED = """
with placed as (
    select hash, unnest(stacks) as stack from specs where snapshot = $snapshot and array_length(stacks) > 1
)
select one.stack, other.stack as other, count(*) as specs
from placed as one inner join placed as other on one.hash = other.hash and one.stack <> other.stack
group by one.stack, other.stack order by one.stack, specs desc, other
"""
REPLACED = """
select stack, package, cause, version, compiler, target, replaced_by, specs, variants_lost, variants_gained
from changes
where to_snapshot = $snapshot and change = 'lost' and cause like '% replaced'
order by stack, package, cause, version, compiler, target, replaced_by
"""
QUERIES = {
    "built_for": BUILT_FOR,
    "compilers": COMPILERS,
    "twins": TWINS,
    "in_root": IN_ROOT,
    "held": HELD,
    "installable": INSTALLABLE,
    "gaps": GAPS,
    "shared": SHARED,
    "replaced": REPLACED,
}


def describe_stack_pages(connection: duckdb.DuckDBPyConnection, facts: SiteFacts) -> Iterator[Row]:
    """What the page of each stack shows, of the site's own snapshot or else of the newest that holds the stack."""
    newest_first = [one["snapshot"] for one in reversed(facts.snapshots)]
    if facts.focus:
        newest_first.sort(key=lambda name: name != facts.focus)
    chosen: dict[str, str] = {}
    for snapshot in reversed(newest_first):
        chosen.update(dict.fromkeys(facts.stacks_of(snapshot), snapshot))
    for snapshot, stacks in sorted(_turn(chosen).items()):
        answers = {
            name: group_rows(read_rows(connection, query, {"snapshot": snapshot}), "stack")
            for name, query in QUERIES.items()
        }
        compared = {row["stack"]: row for row in describe_stacks(facts, snapshot)}
        for stack in stacks:
            rows = {
                name: [{key: value for key, value in row.items() if key != "stack"} for row in answer.get(stack, [])]
                for name, answer in answers.items()
            }
            yield describe_stack(facts, stack, snapshot, compared[stack], rows)


def _turn(chosen: dict[str, str]) -> dict[str, list[str]]:
    turned: dict[str, list[str]] = {}
    for stack, snapshot in sorted(chosen.items()):
        turned.setdefault(snapshot, []).append(stack)
    return turned


def describe_stack(facts: SiteFacts, stack: str, snapshot: str, compared: Row, rows: dict[str, list[Row]]) -> Row:
    """What the page of one stack shows; ``rows`` are what :data:`QUERIES` answer for it."""
    counted, this = facts.stacks[snapshot, stack], facts.snapshot(snapshot)
    return {
        "kind": "stack",
        "stack": stack,
        "gone": False,
        "focus": facts.focus,
        "state": facts.states.get((facts.focus, stack), "unknown") if facts.focus else "unknown",
        "snapshot": snapshot,
        "previous": this["previous"],
        "mirror": None if this["series"] == "other" else f"{MIRROR}/{snapshot}/{stack}",
        "packages": counted["packages"],
        "packages_of_snapshot": this["packages"],
        "specs": counted["specs"],
        "bytes": counted["bytes"],
        "sized": counted["sized"],
        "installable": rows["installable"][0]["installable"],
        "installable_known": rows["installable"][0]["installable_known"],
        "redundant": counted["specs"] - rows["twins"][0]["configurations"],
        "in_root": rows["in_root"][0]["in_root"],
        **{key: compared[key] for key in ("change", "losses", "gains")},
        "trend": [count_packages(facts, week, stack) for week in list_weeks(facts, snapshot, TREND)],
        "history": [describe_past(facts, stack, one) for one in facts.snapshots],
        "built_for": rows["built_for"],
        "compilers": rows["compilers"],
        "replaced": rows["replaced"],
        "gaps": rows["gaps"],
        "shared": rows["shared"],
        "held": rows["held"],
    }


def describe_past(facts: SiteFacts, stack: str, one: Row) -> Row:
    """A snapshot's row in the history of a stack."""
    held, moved = facts.stacks.get((one["snapshot"], stack)), facts.turnover.get((one["snapshot"], stack))
    before = facts.stacks.get((one["previous"], stack))
    return {
        **{key: one[key] for key in ("snapshot", "series", "date", "previous")},
        "state": facts.states.get((one["snapshot"], stack), "unknown"),
        "packages": count_packages(facts, one["snapshot"], stack),
        "specs": held["specs"] if held else 0,
        "gained": moved["gained"] if moved else 0,
        "lost": moved["lost"] if moved else 0,
        "replaced": moved["replaced"] if moved else 0,
        "rebuilt": moved["rebuilt"] if moved else 0,
        "kept": share_kept([before], [moved]),
    }
