"""A snapshot's reports as one Excel workbook: a sheet per report, and one that lists them.

Texts are texts: nothing from the data becomes a formula, a link or a number. What Excel cannot hold
(https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3, "Excel specifications and
limits") is cut, and the first sheet and :class:`Sheet` say so. The same rows give the same bytes.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from pipeline.io.progress import number_of

MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
"""Rows of a sheet, the header among them, and its columns."""
MAX_TEXT, MAX_NAME = 32_767, 31
"""UTF-16 units of a cell's text, and of a sheet's name."""
MAX_EXACT = 2**53
"""Excel's numbers are doubles: a greater whole number would lose digits, and is written as text."""

ABOUT = "about"
CREATED = dt.datetime(2000, 1, 1)
"""Stands for the time of writing, so that the same rows give the same bytes."""

# Nothing, one, many: distinct in grey too, and black text stays readable on each.
SCALE = {
    "type": "3_color_scale",
    "min_type": "num",
    "min_value": 0,
    "min_color": "#FFFFFF",
    "mid_type": "num",
    "mid_value": 1,
    "mid_color": "#C6DBEF",
    "max_type": "max",
    "max_color": "#4292C6",
}
WIDEST, SAMPLED = 60, 200
BATCH = 10_000

Rows = Iterable[Sequence[object]]


@dataclass(frozen=True)
class Sheet:
    """A sheet that was written: ``rows`` are in the report, ``written_rows`` in the sheet.

    ``cut_columns`` and ``cut_texts`` count what Excel cannot hold, and what lacks its end.
    """

    report: str
    name: str
    columns: list[str]
    rows: int
    written_rows: int
    cut_columns: int
    cut_texts: int

    def describe(self) -> dict[str, Any]:
        """The sheet as ``index.json`` has it."""
        cut = self.describe_cuts()
        return {
            "report": self.report,
            "sheet": self.name,
            "rows": self.written_rows,
            "columns": self.columns,
            "cut": cut,
        }

    def describe_cuts(self) -> str:
        """What of the report Excel cannot hold; empty where it holds everything."""
        parts = [
            f"{number_of(self.rows - self.written_rows, 'row')} left out" if self.rows > self.written_rows else "",
            f"{number_of(self.cut_columns, 'column')} left out" if self.cut_columns else "",
            f"{number_of(self.cut_texts, 'text')} cut to {MAX_TEXT:,} characters" if self.cut_texts else "",
        ]
        return ", ".join(filter(None, parts))


def write_workbook(
    connection: duckdb.DuckDBPyConnection, path: Path, snapshot: str, queries: Sequence[tuple[str, str]]
) -> list[Sheet]:
    """Write a workbook of (report, query) each; returns its sheets.

    Raises:
        OSError: the file cannot be written.
    """
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "tmpdir": str(path.parent),
    }
    sheets: list[Sheet] = []
    try:
        with xlsxwriter.Workbook(str(path), options) as workbook:
            workbook.set_properties({"title": f"Coverage of {snapshot}"[:255], "created": CREATED})
            header = workbook.add_format({"bold": True, "bottom": 1, "bg_color": "#EDEDED"})
            share = workbook.add_format({"num_format": "0.0%"})
            about = workbook.add_worksheet(ABOUT)
            taken = [ABOUT]
            for report, query in queries:
                taken.append(name_sheet(report, taken))
                sheet = workbook.add_worksheet(taken[-1])
                cursor = connection.execute(query)
                columns = [column[0] for column in cursor.description or []]
                sheets.append(_write_sheet(sheet, report, columns, _fetch(cursor), header, share))
            _write_about(about, snapshot, sheets, header)
    except FileCreateError as error:
        # What it was made of, which says why.
        raise error.args[0] from None
    return sheets


def name_sheet(report: str, taken: Sequence[str]) -> str:
    """A name for a sheet that Excel allows and no sheet has yet; case counts for nothing."""
    plain = cut_text(re.sub(r"[\[\]:*?/\\\x00-\x1f]", "_", report).strip("'") or "_", MAX_NAME)
    used = {name.lower() for name in (*taken, "history")}
    name, number = plain, 2
    while name.lower() in used:
        end = f"~{number}"
        name, number = cut_text(plain, MAX_NAME - len(end)) + end, number + 1
    return name


def cut_text(text: str, most: int = MAX_TEXT) -> str:
    """``text``, or its first ``most`` UTF-16 units, with an ellipsis for the rest."""
    if len(text) * 2 <= most or len(data := text.encode("utf-16-le")) <= most * 2:
        return text
    return data[: (most - 1) * 2].decode("utf-16-le", "ignore") + "…"


def _fetch(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
    while rows := cursor.fetchmany(BATCH):
        yield from rows


def _write_sheet(sheet: Worksheet, report: str, columns: list[str], rows: Rows, header: object, share: object) -> Sheet:
    width = min(len(columns), MAX_COLUMNS)
    widths = [_measure(name) + 3 for name in columns[:width]]
    shares = [share if name == "coverage" else None for name in columns[:width]]
    for at in range(width):
        sheet.write_string(0, at, cut_text(columns[at]), header)
    count = written = cut = 0
    for row in rows:
        count += 1
        if written == MAX_ROWS - 1:
            continue
        written += 1
        for at in range(width):
            cell = _make_cell(row[at])
            if isinstance(cell, str):
                short = cut_text(cell)
                cut += short is not cell
                sheet.write_string(written, at, short)
            elif cell is not None:
                sheet.write_number(written, at, cell, shares[at])
            if written <= SAMPLED and cell is not None:
                widths[at] = max(widths[at], _measure(cell) + 1)
    for at in range(width):
        sheet.set_column(at, at, min(widths[at], WIDEST))
    if width:
        sheet.autofilter(0, 0, written, width - 1)
    is_matrix = report.startswith("matrix_")
    # The names of snapshot and package stay in view beside the cells of a matrix.
    sheet.freeze_panes(1, 2 if is_matrix else 0)
    if is_matrix and width > 2 and written:
        sheet.conditional_format(1, 2, written, width - 1, SCALE)
    return Sheet(report, sheet.get_name(), columns, count, written, len(columns) - width, cut)


def _write_about(sheet: Worksheet, snapshot: str, sheets: Sequence[Sheet], header: object) -> None:
    # Of fixed order: in constant memory, rows are written once and downwards.
    sheet.write_string(0, 0, "snapshot", header)
    sheet.write_string(0, 1, cut_text(snapshot))
    for at, name in enumerate(("sheet", "report", "rows", "columns", "not in the sheet")):
        sheet.write_string(2, at, name, header)
    for number, one in enumerate(sheets, start=3):
        sheet.write_string(number, 0, one.name)
        sheet.write_string(number, 1, one.report)
        sheet.write_number(number, 2, one.rows)
        sheet.write_number(number, 3, len(one.columns))
        sheet.write_string(number, 4, one.describe_cuts())
    for at, width in enumerate((24, 24, 10, 10, 40)):
        sheet.set_column(at, at, width)
    sheet.freeze_panes(3, 0)


def _make_cell(value: object) -> str | int | float | None:
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case int() if abs(value) <= MAX_EXACT:
            return value
        case float() if value - value == 0:
            return value
        case list() | tuple() | dict():
            return msgspec.json.encode(value).decode()
    return str(value)


def _measure(value: object) -> int:
    return min(len(str(value)), WIDEST)
