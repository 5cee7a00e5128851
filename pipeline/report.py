"""Export the reports of a warehouse: one folder per snapshot, CSV, Parquet and one HTML page, and an index.

CSV is written for spreadsheets and programs alike. A spreadsheet takes a cell that begins with
``=``, ``+``, ``-``, ``@``, a tab or a carriage return for a formula (OWASP, "CSV injection"), and
``+mpi`` is a variant: such a text gets a leading ``'``, and so does one that begins with ``'``
itself. A program that takes one leading ``'`` off every text has the exact value again. NULL is
an empty cell; lists are JSON, guarded likewise.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from pipeline.columns import AXES
from pipeline.errors import WarehouseError
from pipeline.layout import Layout, partition_name
from pipeline.progress import Progress
from pipeline.warehouse import open_database, quote_name, quote_text

FORMATS = ("csv", "parquet", "html")
USUAL_FORMATS = ("csv", "parquet")
"""The formats that are written where none is named."""
INDEX = "index.json"
PAGE = "report.html"

REPORTS = {
    **{f"coverage_by_{axis}": ("snapshot", "package", axis) for axis in AXES},
    **{f"matrix_by_{axis}": ("snapshot", "package") for axis in AXES},
    **{f"summary_by_{axis}": ("snapshot", axis) for axis in AXES},
    "coverage_by_host": ("snapshot", "package", "host_target"),
    "gaps": ("snapshot", "stack", "held_by", "package"),
    "version_lag": ("snapshot", "package", "stack"),
    "reuse": ("snapshot", "package"),
    "redundancy": ("snapshot", "package"),
    "rejects": ("path", "place", "reason"),
    "meta_mismatches": ("snapshot", "package", "field", "said"),
}
"""The relations that are exported, each with the columns that order it."""

GUARDED = "=+-@\t\r'"


@dataclass(frozen=True)
class Export:
    """One written file: its report, path below the reports' folder, and what is in it."""

    report: str
    format: str
    path: str
    snapshot: str
    rows: int
    columns: list[str]
    bytes: int
    sha256: str


def export_reports(
    layout: Layout,
    out: Path | None = None,
    formats: Sequence[str] = USUAL_FORMATS,
    snapshots: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Export]:
    """Write the reports of ``snapshots`` (all, where none is named) below ``out``.

    Each snapshot's folder is replaced as a whole; ``index.json`` in it names its files.

    Raises:
        NoWarehouseError: there is no warehouse.
        WarehouseError: a snapshot is not in it, or a file cannot be written.
    """
    out = out or layout.reports
    progress = progress or Progress()
    exports: list[Export] = []
    with open_database(layout) as connection:
        held = [
            row[0] for row in connection.execute("select snapshot from snapshots order by sort_position").fetchall()
        ]
        for snapshot in snapshots:
            if snapshot not in held:
                raise WarehouseError(f"{layout.root}: no snapshot {snapshot!r}; there are: {', '.join(held)}")
        chosen = [snapshot for snapshot in held if not snapshots or snapshot in snapshots]
        progress.stage("reporting", len(chosen), "snapshot")
        for snapshot in chosen:
            exports += export_snapshot(connection, out, snapshot, formats)
            progress.advance(1)
    return exports


def export_snapshot(
    connection: duckdb.DuckDBPyConnection, out: Path, snapshot: str, formats: Sequence[str]
) -> list[Export]:
    """Write one snapshot's reports and their index, and only then put them in the old ones' place."""
    folder = out / partition_name(snapshot).removeprefix("snapshot=")
    new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        tables = [format for format in formats if format != "html"]
        exports = [export_report(connection, new, report, snapshot, format) for report in REPORTS for format in tables]
        if "html" in formats:
            exports.append(export_page(connection, new, snapshot, exports))
        index = {"snapshot": snapshot, "reports": [describe_export(export) for export in exports]}
        (new / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(index), indent=2) + b"\n")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return exports


def describe_export(export: Export) -> dict[str, object]:
    return {key: value for key, value in vars(export).items() if key != "snapshot"}


def export_report(
    connection: duckdb.DuckDBPyConnection, folder: Path, report: str, snapshot: str, format: str
) -> Export:
    """Write one report of one snapshot as one file."""
    path = folder / f"{report}.{format}"
    columns = connection.execute(f"describe {report}").fetchall()
    names = [column[0] for column in columns]
    # A file that could not be read has no snapshot: every snapshot's report names it.
    where = f"snapshot = {quote_text(snapshot)}" + (" or snapshot is null" if report == "rejects" else "")
    order = ", ".join(map(quote_name, REPORTS[report]))
    if format == "csv":
        cells = ", ".join(guard(name, type) for name, type, *_ in columns)
        header = ", ".join(quote_name(guard_text(name)) for name in names)
        source = f"(select {cells} from {report} where {where} order by {order}) as cells({header})"
        query, options = f"select * from {source}", "format csv, header, delimiter ','"
    else:
        query = f"select * from {report} where {where} order by {order}"
        options = "format parquet, compression zstd"
    count = connection.execute(f"copy ({query}) to {quote_text(str(path))} ({options})").fetchone()
    data = path.read_bytes()
    return Export(
        report=report,
        format=format,
        path=path.name,
        snapshot=snapshot,
        rows=int(count[0]) if count else 0,
        columns=names,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def export_page(connection: duckdb.DuckDBPyConnection, folder: Path, snapshot: str, beside: Sequence[Export]) -> Export:
    """Write one snapshot's page, with links to the files ``beside`` it; its rows are those of its specs."""
    # The page asks commands that stand right of here, and print rows as the reports do.
    from pipeline.html import render_page

    page = render_page(connection, snapshot, beside)
    path = folder / PAGE
    path.write_bytes(page.html)
    return Export(
        report="page",
        format="html",
        path=path.name,
        snapshot=snapshot,
        rows=page.rows,
        columns=page.columns,
        bytes=len(page.html),
        sha256=hashlib.sha256(page.html).hexdigest(),
    )


def guard_text(text: str) -> str:
    """``text`` as a CSV cell that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] and text[0] in GUARDED else text


def guard(name: str, type: str) -> str:
    """The SQL of :func:`guard_text` for a column; lists become JSON, numbers stay."""
    column = quote_name(name)
    if type.endswith("[]"):
        column = f"cast(to_json({column}) as varchar)"
    elif type != "VARCHAR":
        return column
    # chr() writes what an SQL literal cannot hold visibly.
    first = f"{column}[1]"
    guarded = "'=', '+', '-', '@', '''', chr(9), chr(13)"
    return f"case when {first} in ({guarded}) then '''' || {column} else {column} end"
