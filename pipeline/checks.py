"""Run the checks of ``sql/checks``: each is a query that returns the rows that offend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline import sqlfiles
from pipeline.warehouse import quote_text, render

SHOWN = 5
"""Offenders that are shown of each check."""


@dataclass(frozen=True)
class Check:
    """A check and what it found: ``rows`` are the first offenders, ``offenders`` counts all.

    A ``warning`` tells of the input (rejects, a wrong ``meta``); any other failed check means that
    the warehouse itself is wrong.
    """

    name: str
    rule: str
    warning: bool
    offenders: int
    columns: list[str]
    rows: list[tuple[object, ...]]

    @property
    def failed(self) -> bool:
        return self.offenders > 0 and not self.warning


def run_checks(connection: duckdb.DuckDBPyConnection, snapshots: Iterable[str] | None = None) -> list[Check]:
    """Run every check, in the order of their names; on ``snapshots`` alone where they are given."""
    return [run_check(connection, file, snapshots) for file in sqlfiles.check_files()]


def run_check(connection: duckdb.DuckDBPyConnection, file: Path, snapshots: Iterable[str] | None = None) -> Check:
    query = render(connection, file)
    header = " ".join(line.removeprefix("-- ") for line in query.splitlines() if line.startswith("-- "))
    rule = header.partition(": ")[2]
    if snapshots is not None:
        chosen = ", ".join(map(quote_text, snapshots)) or "null"
        query = f"from ({query.strip().removesuffix(';')}) where snapshot in ({chosen}) or snapshot is null"
    cursor = connection.execute(query)
    columns = [column[0] for column in cursor.description or []]
    rows = cursor.fetchmany(SHOWN)
    offenders = len(rows)
    while more := cursor.fetchmany(10_000):
        offenders += len(more)
    warning = rule.endswith(" (warning)")
    return Check(file.stem, rule.removesuffix(" (warning)"), warning, offenders, columns, rows)
