"""Export the reports of a warehouse: one folder per snapshot, an index of them all, and a landing page.

Tables are CSV, Parquet or JSON, a file per report; a workbook and a summary are a file per snapshot.
:mod:`pipeline.ask.output` says how CSV is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import duckdb

from pipeline.ask.diff import Comparison, compare_with_previous
from pipeline.ask.output import guard, guard_text
from pipeline.errors import WarehouseError
from pipeline.io.progress import Progress
from pipeline.io.temporary import database_path, plain_path, spill_folder
from pipeline.io.workers import Processes, count_cpus
from pipeline.layout import Layout
from pipeline.report.folder import INDEX, ReportFolder, encode
from pipeline.report.inputs import Inputs
from pipeline.report.shared import Shared, select_rows
from pipeline.report.summary import write_summary
from pipeline.report.workbook import write_workbook
from pipeline.schema import AXES
from pipeline.store.database import connect, find_database, open_database, quote_name, quote_text
from pipeline.words import DEFAULT_FORMATS, TABLE_FORMATS

FILES = {"xlsx": ("workbook", "reports.xlsx"), "markdown": ("summary", "summary.md"), "html": ("page", "report.html")}
"""Formats with one file for a snapshot: what it is, and its name."""

REPORTS = {
    **{f"coverage_by_{axis}": ("snapshot", "package", axis) for axis in AXES},
    **{f"matrix_by_{axis}": ("snapshot", "package") for axis in AXES},
    **{f"summary_by_{axis}": ("snapshot", axis) for axis in AXES},
    "summary_by_libc": ("snapshot", "libc"),
    "summary_by_missing": ("snapshot", "missing_package", "missing_hash"),
    "missing_dependencies": ("snapshot", "stack", "package", "hash", "depth", "missing_package", "missing_hash"),
    "external_dependencies": ("snapshot", "name", "version", "path", "modules"),
    "coverage_by_host": ("snapshot", "package", "host_target"),
    "gaps": ("snapshot", "stack", "held_by", "package"),
    "version_lag": ("snapshot", "package", "stack"),
    "reuse": ("snapshot", "package"),
    "redundancy": ("snapshot", "package"),
    "rejects": ("path", "place", "reason"),
    "meta_mismatches": ("snapshot", "package", "field", "said"),
}
"""The relations that are exported, each with the columns that order it."""
MANY_SPECS = 30_000
"""From so many on it is worth starting processes to report on snapshots side by side."""


@dataclass(frozen=True)
class Export:
    """One written file: its report, path in the snapshot's folder, and what is in it.

    ``rows`` and ``columns`` are None where the file is no table; ``sheets`` describe those of a workbook.
    """

    report: str
    format: str
    path: str
    snapshot: str
    rows: int | None
    columns: list[str] | None
    bytes: int
    sha256: str
    sheets: list[dict[str, Any]] | None = None

    def describe_cuts(self) -> list[str]:
        """What of the reports this file cannot hold, a line for each."""
        return [
            f"{self.snapshot}: {self.path}: {sheet['sheet']}: {sheet['cut']}"
            for sheet in self.sheets or ()
            if sheet["cut"]
        ]


def export_reports(
    layout: Layout,
    out: Path | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    snapshots: Sequence[str] | None = None,
    progress: Progress | None = None,
    jobs: int | None = None,
) -> list[Export]:
    """Write the reports of ``snapshots`` (None: of all) below ``out``, in ``jobs`` processes (None: one a processor).

    Each snapshot's folder is replaced as a whole, and left alone where nothing in it would change: what was made of
    the same warehouse by the same program is not made again, see :mod:`pipeline.report.inputs`.
    ``index.json`` in it names its files, and ``index.json`` and ``index.html`` beside the folders those of
    all of them. Another export to the same folder waits.

    Raises:
        NoWarehouseError: there is no warehouse.
        WarehouseError: a snapshot is not in it, or its folder holds what is no report.
        OSError: a file cannot be written.
    """
    reports = ReportFolder(out or layout.reports)
    progress = progress or Progress()
    exports: dict[str, list[Export]] = {}
    find_database(layout)
    with contextlib.ExitStack() as stack:
        stack.enter_context(reports.hold(partial(progress.wait, reports.root, "export")))
        # Opened when it is this export's turn: what was built while it waited counts.
        database = find_database(layout)
        connection = stack.enter_context(open_database(layout, database))
        held = [
            row[0] for row in connection.execute("select snapshot from snapshots order by sort_position").fetchall()
        ]
        for snapshot in snapshots or ():
            if snapshot not in held:
                raise WarehouseError(f"{layout.root}: no snapshot {snapshot!r}; there are: {', '.join(held)}")
        chosen = [snapshot for snapshot in held if snapshots is None or snapshot in snapshots]
        reports.refuse_foreign(chosen, list_names())
        progress.stage("reporting", len(chosen), "snapshot")
        inputs = Inputs(layout, reports.root)
        for snapshot in chosen:
            index = inputs.find_same(reports.folder(snapshot), snapshot, formats)
            if index is not None:
                exports[snapshot] = [Export(snapshot=snapshot, **one) for one in index["reports"]]
                progress.advance(1)
        changed = [snapshot for snapshot in chosen if snapshot not in exports]
        written = export_snapshots(connection, database, reports, changed, formats, jobs or count_cpus())
        for snapshot, exports[snapshot] in zip(changed, written, strict=True):
            inputs.note(reports.folder(snapshot), snapshot, formats)
            progress.advance(1)
        inputs.save()
        write_index(reports)
    return [export for snapshot in chosen for export in exports[snapshot]]


def export_snapshots(
    connection: duckdb.DuckDBPyConnection,
    database: Path,
    reports: ReportFolder,
    snapshots: Sequence[str],
    formats: Sequence[str],
    jobs: int,
) -> Iterator[list[Export]]:
    """Write the reports of each snapshot, see :func:`export_snapshot`; of many specs in several processes.

    Each of these opens the ``database`` that the connection is to.
    """
    query = "select coalesce(sum(specs), 0) from snapshots where list_contains($snapshots, snapshot)"
    ((specs,),) = connection.execute(query, {"snapshots": list(snapshots)}).fetchall()
    jobs = min(jobs, len(snapshots))
    if jobs < 2 or specs < MANY_SPECS:
        shared = Shared(connection)
        yield from (export_snapshot(shared, reports, snapshot, formats) for snapshot in snapshots)
        return
    with contextlib.ExitStack() as stack:
        spill, plain = stack.enter_context(spill_folder()), stack.enter_context(database_path(database))
        workers = stack.enter_context(contextlib.closing(Processes(jobs, [__name__])))
        workers.start()
        constant = [[one] * len(snapshots) for one in (plain, spill, reports, formats)]
        yield from workers.run(export_apart, snapshots, *constant)


def export_apart(
    snapshot: str, database: Path, spill: str, reports: ReportFolder, formats: Sequence[str]
) -> list[Export]:
    """Write one snapshot's reports in a process of its own, which opens the database once."""
    return export_snapshot(_share(database, spill), reports, snapshot, formats)


@lru_cache(1)
def _share(database: Path, spill: str) -> Shared:
    # Two processes may not spill to one folder.
    connection = connect(database, spill and f"{spill}/{os.getpid()}")
    # The processes are the threads.
    connection.execute("set threads = 1")
    return Shared(connection)


def export_snapshot(shared: Shared, reports: ReportFolder, snapshot: str, formats: Sequence[str]) -> list[Export]:
    """Write one snapshot's reports and their index, and only then put them in the old ones' place.

    ``shared`` answers what several files ask.
    """
    made: dict[str, list[Export]] = {}
    compared = compare_with_previous(shared.connection, snapshot)
    with reports.replace(snapshot) as folder, plain_path(folder) as new, shared.hold(snapshot):
        # Parquet comes first: the others take their rows from it. The page comes last: it links to the files beside it.
        for format in sorted(formats, key=lambda name: (name == "html", name != "parquet")):
            if format in TABLE_FORMATS:
                made[format] = [export_report(shared, new, report, snapshot, format) for report in REPORTS]
            elif format == "xlsx":
                made[format] = [export_workbook(shared, new, snapshot)]
            elif format == "markdown":
                made[format] = [export_summary(shared, new, compared)]
            else:
                beside = [one for name in formats if name != format for one in made[name]]
                made[format] = [export_page(shared, new, compared, beside, reports.is_site)]
        exports = [one for name in sorted(formats, key=lambda name: name == "html") for one in made[name]]
        figures = read_figures(shared.connection, snapshot)
        index = {**figures, "reports": [describe_export(export) for export in exports]}
        (new / INDEX).write_bytes(encode(index))
    return exports


def list_names() -> set[str]:
    """The names that the files of a snapshot may have."""
    tables = {f"{report}.{format}" for report in REPORTS for format in TABLE_FORMATS}
    return tables | {name for _, name in FILES.values()}


def read_figures(connection: duckdb.DuckDBPyConnection, snapshot: str) -> dict[str, object]:
    """What ``index.json`` says of a snapshot itself."""
    answer = connection.execute(
        "select snapshot, kind, cast(date as varchar) as date, packages, specs from snapshots where snapshot = ?",
        [snapshot],
    )
    (row,) = answer.fetchall()
    return {name: value for (name, *_), value in zip(answer.description or (), row, strict=True)}


def describe_export(export: Export) -> dict[str, object]:
    """An export as an entry of ``index.json``."""
    return {key: value for key, value in vars(export).items() if key != "snapshot" and (key, value) != ("sheets", None)}


def write_index(reports: ReportFolder) -> None:
    """Write ``index.json`` and the landing page of a folder of reports; its folders have their own."""
    # The page is made by Jinja, which nothing else here needs.
    from pipeline.report.landing import write_site

    snapshots = [{**index, "folder": folder.name} for folder, index in reports.read_indexes()]
    for index in snapshots:
        index["reports"] = [{**one, "path": f"{index['folder']}/{one['path']}"} for one in index["reports"]]
    reports.write_index({"snapshots": snapshots})
    write_site(reports.root, snapshots)


def _order(report: str) -> str:
    return f"order by {', '.join(map(quote_name, REPORTS[report]))}"


def export_report(shared: Shared, folder: Path, report: str, snapshot: str, format: str) -> Export:
    """Write one report of one snapshot as one file."""
    path = folder / f"{report}.{format}"

    def copy(query: str, options: str) -> int:
        ((count,),) = shared.connection.execute(f"copy ({query}) to {quote_text(str(path))} ({options})").fetchall()
        return int(count)

    order = _order(report)
    if format == "parquet":
        # Of the view itself: of a table DuckDB would call columns required by what the rows happen to be.
        count = copy(f"select * {select_rows(report, snapshot)} {order}", "format parquet, compression zstd")
        shared.note_written(report, path)
    rows = shared.rows_of(report, snapshot)
    columns = shared.connection.execute(f"describe {rows}").fetchall()
    names = [column[0] for column in columns]
    if format == "csv":
        cells = ", ".join(guard(name, type) for name, type, *_ in columns)
        header = ", ".join(quote_name(guard_text(name)) for name in names)
        query = f"select * from (select {cells} from {rows} {order}) as cells({header})"
        count = copy(query, "format csv, header, delimiter ','")
    elif format == "json":
        count = copy(f"select * from {rows} {order}", "format json, array true")
    return _describe_file(path, report, snapshot, format, count, names)


def export_workbook(shared: Shared, folder: Path, snapshot: str) -> Export:
    """Write a snapshot's reports as one workbook."""
    what, name = FILES["xlsx"]
    queries = [(report, f"select * from {shared.rows_of(report, snapshot)} {_order(report)}") for report in REPORTS]
    sheets = write_workbook(shared.connection, folder / name, snapshot, queries)
    rows = sum(sheet.written_rows for sheet in sheets)
    return _describe_file(folder / name, what, snapshot, "xlsx", rows, None, [sheet.describe() for sheet in sheets])


def export_summary(shared: Shared, folder: Path, compared: Comparison) -> Export:
    """Write a snapshot's summary."""
    what, name = FILES["markdown"]
    (folder / name).write_text(write_summary(shared, compared), "utf-8")
    return _describe_file(folder / name, what, compared.snapshot.name, "markdown")


def export_page(shared: Shared, folder: Path, compared: Comparison, beside: Sequence[Export], in_site: bool) -> Export:
    """Write a snapshot's page; ``beside`` are the files written before it, ``in_site`` as of ``render_page``."""
    # Jinja is loaded only where a page is made.
    from pipeline.report.page import render_page

    what, name = FILES["html"]
    page = render_page(compared, shared, beside, in_site)
    (folder / name).write_bytes(page.html)
    return _describe_file(folder / name, what, compared.snapshot.name, "html", page.rows, page.columns)


def _describe_file(
    path: Path,
    report: str,
    snapshot: str,
    format: str,
    rows: int | None = None,
    columns: list[str] | None = None,
    sheets: list[dict[str, Any]] | None = None,
) -> Export:
    data = path.read_bytes()
    return Export(
        report=report,
        format=format,
        path=path.name,
        snapshot=snapshot,
        rows=rows,
        columns=columns,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        sheets=sheets,
    )


def choose_kept(out: Path, held: Sequence[str], chosen: Sequence[str], keep: int) -> list[str]:
    """The ``keep`` newest of the snapshots that are ``chosen`` or have reports below ``out``, newest first.

    ``held`` are the warehouse's snapshots, the newest first; one that it no longer holds is older than
    those, and of several the last by name is the newest.
    """
    written = {index["snapshot"] for _, index in ReportFolder(out).read_indexes()}
    gone = sorted(written - set(held), reverse=True)
    return [*(name for name in held if name in written or name in chosen), *gone][:keep]


def prune_reports(out: Path, kept: Sequence[str], progress: Progress | None = None) -> list[str]:
    """Remove the reports of every snapshot below ``out`` but those ``kept``; returns the snapshots removed.

    A file that is no report stays.
    """
    reports = ReportFolder(out)
    if all(index["snapshot"] in kept for _, index in reports.read_indexes()):
        return []
    removed = []
    with reports.hold(partial((progress or Progress()).wait, out, "export")):
        for folder, index in reports.read_indexes():
            if index["snapshot"] not in kept:
                reports.remove(folder)
                removed.append(index["snapshot"])
        write_index(reports)
    return removed
