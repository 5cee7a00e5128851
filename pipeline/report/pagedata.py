"""What the page of a snapshot holds: tables and figures, from the warehouse's views and macros."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import duckdb

from pipeline import __version__
from pipeline.ask.diff import CAUSES, REBUILT, Comparison, SnapshotDiff, judge_change
from pipeline.ask.scope import list_not_loaded
from pipeline.report.columns import Encoded, encode_table
from pipeline.report.folder import folder_of
from pipeline.report.shared import Shared, read_table
from pipeline.schema import MATRIX_COLUMNS
from pipeline.spack.compilers import RENAMED

MOST_PROBLEMS = 500
"""So many rejects, and so many mismatches, are listed in a page; the rest is in the files beside it."""
MIRROR = "https://binaries.spack.io"
"""Where Spack's own build caches are, a folder per snapshot (https://cache.spack.io says how to use them)."""


def collect(compared: Comparison, shared: Shared, in_site: bool = False) -> dict[str, Any]:
    """All that the page of a snapshot shows; ``in_site``: the pages of a site lie around it."""
    connection = shared.connection
    snapshot, previous, skipped = compared.snapshot.name, compared.previous, compared.skipped
    tables = {
        "specs": read_specs(connection, snapshot),
        "gaps": read_table(
            connection,
            f"select package, stack, platform, held_by, stacks from {shared.rows_of('gaps', snapshot)} "
            "order by held_by desc, package, stack, platform",
        ),
        **shared.tables,
        "missing": read_table(
            connection,
            "select hash, missing_package || '/' || substr(missing_hash, 1, 7) as part "
            f"from {shared.rows_of('missing_dependencies', snapshot)} group by hash, missing_package, missing_hash "
            "order by hash, min(depth), missing_package, missing_hash",
        ),
        "rejects": read_table(
            connection,
            f"select path, place, reason from {shared.rows_of('rejects', snapshot)} "
            f"order by path, place, reason limit {MOST_PROBLEMS}",
        ),
        "mismatches": read_table(
            connection,
            f"select package, field, said, found from {shared.rows_of('meta_mismatches', snapshot)} "
            f"order by package, field, said, found limit {MOST_PROBLEMS}",
        ),
    }
    facts = read_facts(shared, snapshot)
    payload: dict[str, Any] = {
        "facts": {**facts, "skipped": skipped},
        "previous": previous and previous.name,
        "before": previous and read_facts(shared, previous.name),
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
        add_changes(shared, tables, compared.changes)
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


def add_changes(shared: Shared, tables: dict[str, Any], changes: SnapshotDiff) -> None:
    """Add to ``tables`` what came and left since the previous complete snapshot."""
    connection = shared.connection
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
    tables["stacks"] = encode_table(("stack", "state", "packages"), list_stacks(shared, changes))
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


def list_stacks(shared: Shared, changes: SnapshotDiff) -> list[tuple[str, str, int]]:
    """The stacks of the two snapshots: their state in the second, and the packages that each held in the first."""
    packages = shared.packages_by_stack(changes.asked.before)
    return [
        (stack, state, packages.get(stack, 0))
        for stack, state in shared.stack_states[changes.asked.after]
        if state in ("held", "unknown") or (state != "not begun" and stack in packages)
    ]


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
        explained as (
            select change, package, bool_and(cause <> 'source missing') as proven
            from changes where from_snapshot = $1 and to_snapshot = $2 group by change, package
        )
        select once.change, once.package, coalesce(explained.proven, false) as proven
        from once
        left join explained on once.change = explained.change and once.package = explained.package
        order by once.change desc, once.package
        """,
        [changes.asked.before, changes.asked.after],
    ).fetchall()


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


def find_day_read(connection: duckdb.DuckDBPyConnection, snapshot: str) -> str | None:
    """The day, ISO's, on which the newest of a snapshot's sources was first read as it is; None where none says."""
    query = "select cast(max(read_on) as varchar) from sources where snapshot = ?"
    row: tuple[str | None] | None = connection.execute(query, [snapshot]).fetchone()
    return row[0] if row else None


def read_facts(shared: Shared, snapshot: str) -> dict[str, Any]:
    """The head figures, and what of the snapshot's sources is not of today."""
    figures = shared.figures(snapshot)._asdict()
    return {
        "snapshot": snapshot,
        "generator": f"spack-warehouse {__version__}",
        **figures,
        "read_on": find_day_read(shared.connection, snapshot) if figures["kind"] == "develop" else None,
        "not_loaded": [one.describe() for one in list_not_loaded(shared.connection, snapshot)],
        "mirror": None if figures["kind"] == "other" else f"{MIRROR}/{snapshot}",
    }
