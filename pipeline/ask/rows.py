"""Print the rows of an answer to stdout: a table for people, CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence

import duckdb
import msgspec

from pipeline.ask.cells import guard_text
from pipeline.ask.query import terminal_width

FORMATS = ("table", "csv", "json")
MAX_ROWS = 1_000_000
LONGEST_LIST, CUT_LIST = 40, 10
"""A longer list is cut in a table, and to how many."""

Columns = Sequence[tuple[str, str]]
"""(name, DuckDB's name of the type) of each column."""


def print_rows(columns: Columns, rows: Iterable[Sequence[object]], format: str) -> None:
    """Write ``rows`` to stdout as ``table``, ``csv`` or ``json``.

    The table is DuckDB's, as of the command ``sql``; it cuts long lists, and without rows it is nothing.
    CSV is that of the reports: a text that a spreadsheet would take for a formula has a leading ``'``,
    lists are JSON, NULL is an empty cell. JSON is an array of objects, one to a line.
    """
    held = [tuple(row) for row in rows]
    if format == "csv":
        text = render_csv(columns, held)
    elif format == "json":
        text = render_json(columns, held)
    elif held:
        show_table(columns, held)
        return
    else:
        return
    sys.stdout.buffer.write(text.encode())


def show_table(columns: Columns, rows: Sequence[tuple[object, ...]]) -> None:
    """Print rows as DuckDB prints a relation, every row of them."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "VARCHAR[]": pa.list_(pa.string()),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
    }
    arrays = [pa.array([_cut(row[at]) for row in rows], types[type]) for at, (_, type) in enumerate(columns)]
    answer = pa.table(arrays, names=[name for name, _ in columns])
    with duckdb.connect() as connection:
        connection.from_arrow(answer).show(max_rows=MAX_ROWS, max_width=terminal_width())


def _cut(value: object) -> object:
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return [*value[:CUT_LIST], f"… {len(value) - CUT_LIST:,} more"]
    return value


def render_csv(columns: Columns, rows: Iterable[Sequence[object]]) -> str:
    """``rows`` as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([guard_text(name) for name, _ in columns])
    writer.writerows([[_write_cell(value) for value in row] for row in rows])
    return out.getvalue()


def _write_cell(value: object) -> object:
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple():
            return msgspec.json.encode(value).decode()
        case str():
            return guard_text(value)
    return value


def render_json(columns: Columns, rows: Iterable[Sequence[object]]) -> str:
    """``rows`` as a JSON array of objects."""
    names = [name for name, _ in columns]
    lines = [msgspec.json.encode(dict(zip(names, row, strict=True))).decode() for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"
