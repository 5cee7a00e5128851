"""What the files of reports have in common: each question that several of them ask is asked of the warehouse once."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import duckdb

from pipeline.report.columns import Encoded, encode_table
from pipeline.report.folder import folder_name
from pipeline.store.database import quote_text

_HELD = "exported_"
"""What the names of temporary tables begin with."""


class Figures(NamedTuple):
    """The head figures of a snapshot; ``date`` is ISO's, of weekly ones.

    ``packages`` and ``specs`` count what stands in root alone too, ``in_stacks`` the packages with a spec in a stack.
    """

    kind: str
    date: str | None
    packages: int
    specs: int
    in_stacks: int
    stacks: int
    compilers: int
    targets: int
    root_only: int
    rejects: int
    mismatches: int


class Shared:
    """The answers that the files of a snapshot, or those of several snapshots, show alike."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._figures: dict[str, Figures] = {}
        self._packages: dict[str, dict[str, int]] = {}
        self._snapshot: str | None = None
        self._held: set[str] = set()
        self._written: dict[str, Path] = {}

    @contextlib.contextmanager
    def hold(self, snapshot: str) -> Iterator[None]:
        """Meanwhile each view that is asked for its rows of this snapshot is asked once."""
        self._snapshot = snapshot
        try:
            yield
        finally:
            for view in self._held:
                self.connection.execute(f"drop table {_HELD}{view}")
            self._held.clear()
            self._written.clear()
            self._snapshot = None

    def note_written(self, view: str, path: Path) -> None:
        """Note that a Parquet file has the rows of a view in the snapshot that is held."""
        self._written[view] = path

    def rows_of(self, view: str, snapshot: str) -> str:
        """What stands after ``from`` for the rows of a snapshot in a view; while it is held, a temporary table."""
        if snapshot != self._snapshot:
            return f"(select * {select_rows(view, snapshot)})"
        if view not in self._held:
            file = self._written.get(view)
            rows = select_rows(view, snapshot) if file is None else f"from read_parquet({quote_text(str(file))})"
            self.connection.execute(f"create temp table {_HELD}{view} as select * {rows}")
            self._held.add(view)
        return f"{_HELD}{view}"

    def figures(self, snapshot: str) -> Figures:
        """The head figures of a snapshot, which the next one is compared with."""
        if snapshot not in self._figures:
            views = ("summary_by_compiler", "summary_by_target", "rejects", "meta_mismatches")
            compilers, targets, rejects, mismatches = (self.rows_of(view, snapshot) for view in views)
            row = self.connection.execute(
                f"""
                select
                    kind, cast(date as varchar) as date, packages, specs,
                    (
                        select count(distinct package) from specs where snapshot = $1 and array_length(stacks) > 0
                    ) as in_stacks,
                    $2 as stacks,
                    (select count(*) from {compilers} where compiler <> 'none') as compilers,
                    (select count(*) from {targets}) as targets,
                    (select count(*) from root_only_specs where snapshot = $1) as root_only,
                    (select count(*) from {rejects}) as rejects,
                    (select count(*) from {mismatches}) as mismatches
                from snapshots where snapshot = $1
                """,
                [snapshot, len(self.packages_by_stack(snapshot))],
            ).fetchone()
            assert row is not None
            self._figures[snapshot] = Figures(*row)
        return self._figures[snapshot]

    def packages_by_stack(self, snapshot: str) -> dict[str, int]:
        """How many packages each stack of a snapshot holds."""
        if snapshot not in self._packages:
            rows = self.rows_of("summary_by_stack", snapshot)
            self._packages[snapshot] = dict(self.connection.execute(f"select stack, packages from {rows}").fetchall())
        return self._packages[snapshot]

    @cached_property
    def stack_states(self) -> dict[str, list[tuple[str, str]]]:
        """By snapshot its stacks, in text order, and the state of each; see the view ``stack_state``."""
        rows = self.connection.execute("select snapshot, stack, state from stack_state order by stack").fetchall()
        states = defaultdict(list)
        for snapshot, stack, state in rows:
            states[snapshot].append((stack, state))
        return states

    @cached_property
    def tables(self) -> dict[str, Encoded]:
        """Snapshots over time, and what archspec knows, as every page has them."""
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


def select_rows(view: str, snapshot: str) -> str:
    """The clauses that take a snapshot's rows out of a view."""
    # A file that could not be read has no snapshot: every snapshot's report names it.
    return f"from {view} where snapshot = {quote_text(snapshot)}" + (
        " or snapshot is null" if view == "rejects" else ""
    )


def read_table(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[str] = ()) -> Encoded:
    """The answer of a query, encoded as :func:`pipeline.report.columns.encode_table` does."""
    answer = connection.execute(query, list(parameters))
    names = [column[0] for column in answer.description or ()]
    return encode_table(names, answer.fetchall())
