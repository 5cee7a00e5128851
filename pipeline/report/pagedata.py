"""What the page of a snapshot holds: tables and figures, from the warehouse's views and macros."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import duckdb

from pipeline import __version__
from pipeline.ask.diff import CAUSES, REBUILT, Comparison, SnapshotDiff, judge_change
from pipeline.ask.scope import list_not_loaded
from pipeline.report.columns import Encoded, encode_table
from pipeline.report.folder import folder_name, folder_of
from pipeline.schema import MATRIX_COLUMNS
from pipeline.spack.compilers import RENAMED

MOST_PROBLEMS = 500
"""So many rejects, and so many mismatches, are listed in a page; the rest is in the files beside it."""
MIRROR = "https://binaries.spack.io"
"""Where Spack's own build caches are, a folder per snapshot (https://cache.spack.io says how to use them)."""


class Shared:
    """What the pages of all snapshots of a warehouse show alike, asked once."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    @cached_property
    def tables(self) -> dict[str, Encoded]:
        """Snapshots over time, and what archspec knows."""
        connection = self.connection
        return {
            "trend": read_table(
                connection,
                "select series, position, cast(date as varchar) as date, snapshot, axis, value, packages, "
                "packages_total, specs from coverage_trend order by series, axis, value, position",
            ),
            "calendar": read_table(
                connection,
                "select calendar.series, calendar.position, cast(calendar.date as varchar) as date, calendar.snapshot, "
                "snapshots.packages, snapshots.specs from calendar left join snapshots "
                "on calendar.snapshot = snapshots.snapshot order by calendar.series, calendar.position",
            ),
            "targets": read_table(
                connection, "select target, ancestor, distance, vendor from targets order by target, distance, ancestor"
            ),
            "releases": read_table(connection, "select os, ancestor from os_releases order by os, distance"),
            "hosts": read_table(connection, "select target, platform, machines from hosts order by rowid"),
        }

    @cached_property
    def snapshots(self) -> list[dict[str, str]]:
        """The snapshots, the newest first, each with the folder of its reports."""
        rows = self.connection.execute("select snapshot from snapshots order by sort_position desc").fetchall()
        return [{"snapshot": name, "folder": folder_name(name)} for (name,) in rows]


def collect(compared: Comparison, shared: Shared, in_site: bool = False) -> dict[str, Any]:
    """All that the page of a snapshot shows; ``in_site``: the pages of a site lie around it."""
    connection = shared.connection
    snapshot, previous, skipped = compared.snapshot.name, compared.previous, compared.skipped
    tables = {
        "specs": read_specs(connection, snapshot),
        "gaps": read_table(
            connection,
            "select package, stack, platform, held_by, stacks from gaps where snapshot = $1 "
            "order by held_by desc, package, stack, platform",
            [snapshot],
        ),
        **shared.tables,
        "missing": read_table(
            connection,
            "select hash, missing_package || '/' || substr(missing_hash, 1, 7) as part from missing_dependencies "
            "where snapshot = $1 group by hash, missing_package, missing_hash "
            "order by hash, min(depth), missing_package, missing_hash",
            [snapshot],
        ),
        "rejects": read_table(
            connection,
            f"select path, place, reason from rejects where snapshot = $1 or snapshot is null "
            f"order by path, place, reason limit {MOST_PROBLEMS}",
            [snapshot],
        ),
        "mismatches": read_table(
            connection,
            f"select package, field, said, found from meta_mismatches where snapshot = $1 "
            f"order by package, field, said, found limit {MOST_PROBLEMS}",
            [snapshot],
        ),
    }
    facts = read_facts(connection, snapshot)
    payload: dict[str, Any] = {
        "facts": {**facts, "skipped": skipped},
        "previous": previous and previous.name,
        "before": previous and read_facts(connection, previous.name),
        "verdict": None,
        "moved": {"lost": 0, "gained": 0, "unknown": 0},
        "renamed": RENAMED,
        "totals": [],
        "causes": CAUSES,
        "rebuilt": REBUILT,
        "matrix_columns": MATRIX_COLUMNS,
        "snapshots": shared.snapshots,
        "in_site": in_site,
        "tables": tables,
    }
    if compared.changes is not None:
        add_changes(connection, tables, compared.changes)
        moved = read_turnover(connection, compared.changes)
        tables["turnover"] = encode_table(("change", "package", "proven"), moved)
        payload["moved"].update(Counter(change if proven else "unknown" for change, _, proven in moved))
        counts = payload["moved"]
        unknown = sum(change == "lost" and not proven for change, _, proven in moved)
        before = payload["before"]["in_stacks"]
        payload["verdict"] = judge_change(counts["gained"], counts["lost"], before, unknown)
        payload["totals"] = [
            {"what": what, "change": change, "packages": packages, "count": count}
            for what, change, _, _, packages, count in compared.changes.summary.totals
        ]
    payload["addresses"] = list_addresses(tables) if in_site else {}
    return payload


def list_addresses(tables: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The folders of the site's pages of packages and stacks, where they are not called as these."""
    columns = [table["columns"] for table in tables.values()]
    return {
        kind: {
            name: folder
            for one in columns
            for column in named
            for name in find_texts(one.get(column, {}))
            if (folder := folder_of(kind, name).partition("/")[2]) != name
        }
        for kind, named in (("package", ("package",)), ("stack", ("stack", "stacks")))
    }


def find_texts(column: Encoded) -> Iterable[str]:
    """The texts of a column that :func:`pipeline.report.columns.encode_column` made, each once."""
    if "t" in column:
        return [column["t"][at : at + column["w"]] for at in range(0, len(column["t"]), column["w"])]
    return [column["c"]] if isinstance(column.get("c"), str) else column.get("c") or column.get("d", ())


def add_changes(connection: duckdb.DuckDBPyConnection, tables: dict[str, Any], changes: SnapshotDiff) -> None:
    """Add to ``tables`` what came and left since the previous complete snapshot."""
    lost: list[Any] = changes.lost
    tables["lost"] = encode_table(changes.lost_columns, lost)
    named = ("package", "version", "compiler_family", "target", "os", "variants", "stacks", "specs")
    at = [changes.configuration_columns.index(name) for name in named]
    gained: list[Any] = [
        [row[one] for one in at]
        for row in changes.configurations
        if row[changes.configuration_columns.index("change")] == "gained"
    ]
    tables["gained"] = encode_table(named, gained)
    asked = [changes.asked.before, changes.asked.after]
    tables["presence"] = read_table(
        connection,
        """
        select change, stack, package, max(head) as head
        from changes
        where
            from_snapshot = $1 and to_snapshot = $2
            and (head is not null or change = 'gained' and cause <> 'source missing')
        group by change, stack, package
        order by change desc, stack, package
        """,
        asked,
    )
    tables["stacks"] = read_table(
        connection,
        """
        select stack_state.stack, stack_state.state, coalesce(summary_by_stack.packages, 0) as packages
        from stack_state
        left join summary_by_stack on summary_by_stack.snapshot = $1 and stack_state.stack = summary_by_stack.stack
        where stack_state.snapshot = $2 and (stack_state.state <> 'not begun' and summary_by_stack.stack is not null
            or stack_state.state in ('held', 'unknown'))
        order by stack_state.stack
        """,
        asked,
    )
    tables["dependents"] = read_table(
        connection,
        """
        with lost as (
            select distinct package from changes
            where from_snapshot = $1 and to_snapshot = $2 and head is not null
        )
        select dependencies.dependency as package, count(distinct specs.package) as packages
        from dependencies
        inner join lost on dependencies.dependency = lost.package
        inner join specs on dependencies.snapshot = specs.snapshot and dependencies.hash = specs.hash
        where
            dependencies.snapshot = $1 and specs.package <> dependencies.dependency
            and list_has_any(dependencies.deptypes, ['link', 'run'])
        group by dependencies.dependency
        order by dependencies.dependency
        """,
        asked,
    )


def read_turnover(connection: duckdb.DuckDBPyConnection, changes: SnapshotDiff) -> list[tuple[str, str, bool]]:
    """The packages that came to the stacks, or that no stack has any more: lost or gained, the package, and whether
    that is proven.
    """
    return connection.execute(
        """
        with held as (
            select distinct snapshot, package from specs where snapshot in ($1, $2) and array_length(stacks) > 0
        ),
        once as (
            select case when any_value(snapshot) = $1 then 'lost' else 'gained' end as change, package
            from held group by package having count(*) = 1
        ),
        told as (
            select change, package, bool_and(cause <> 'source missing') as proven
            from changes where from_snapshot = $1 and to_snapshot = $2 group by change, package
        )
        select once.change, once.package, coalesce(told.proven, false) as proven
        from once
        left join told on once.change = told.change and once.package = told.package
        order by once.change desc, once.package
        """,
        [changes.asked.before, changes.asked.after],
    ).fetchall()


def read_table(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[str] = ()) -> Encoded:
    """The encoded answer of a query."""
    answer = connection.execute(query, list(parameters))
    names = [column[0] for column in answer.description or ()]
    return encode_table(names, answer.fetchall())


def read_specs(connection: duckdb.DuckDBPyConnection, snapshot: str) -> Encoded:
    """The snapshot's specs, the newest version of each package first; versions in Spack's order."""
    columns = [
        *("package", "version", "compiler", "compiler_family", "os", "platform", "target", "variants", "stacks"),
        *("in_root", "size_bytes", "hash", "libc", "libc_path", "libc_known", "namespace", "installable"),
    ]
    # A source that names the compiler of each language may know more than the one of the column compiler.
    compilers = "coalesce(list_sort(list_distinct(map_values(compilers))), [compiler])"
    rows = connection.execute(
        f"select {', '.join(columns)}, {compilers}, version_key from specs where snapshot = $1 "
        "order by package, version_key desc, version, compiler, platform, target, os, hash",
        [snapshot],
    ).fetchall()
    keys = {row[1]: row[-1] for row in rows}
    return encode_table([*columns, "compilers"], [row[:-1] for row in rows], {"version": keys})


def read_facts(connection: duckdb.DuckDBPyConnection, snapshot: str) -> dict[str, Any]:
    """The head figures."""
    answer = connection.execute(
        """
        select
            kind, cast(date as varchar) as date, packages, specs,
            (select count(distinct package) from specs where snapshot = $1 and array_length(stacks) > 0) as in_stacks,
            (select count(*) from summary_by_stack where snapshot = $1) as stacks,
            (select count(*) from summary_by_compiler where snapshot = $1 and compiler <> 'none') as compilers,
            (select count(*) from summary_by_target where snapshot = $1) as targets,
            (select count(*) from root_only_specs where snapshot = $1) as root_only,
            (select count(*) from rejects where snapshot = $1 or snapshot is null) as rejects,
            (select count(*) from meta_mismatches where snapshot = $1) as mismatches
        from snapshots where snapshot = $1
        """,
        [snapshot],
    )
    names = [column[0] for column in answer.description or ()]
    row = answer.fetchone()
    assert row is not None
    facts: dict[str, Any] = {"snapshot": snapshot, "generator": f"spack-warehouse {__version__}"}
    facts.update(zip(names, row, strict=True))
    facts["not_loaded"] = [one.describe() for one in list_not_loaded(connection, snapshot)]
    facts["mirror"] = None if facts["kind"] == "other" else f"{MIRROR}/{snapshot}"
    return facts
