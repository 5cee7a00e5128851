"""How answers are printed: rows as table, CSV or JSON.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, their full-width forms, a tab or the end of a
line for a formula (OWASP, "CSV injection"), and ``+mpi`` is a variant: in CSV such a text gets a leading ``'``, and so
does one that begins with ``'`` itself. A program that takes one leading ``'`` off every text has the exact
value again. NULL is an empty cell; lists are JSON, guarded likewise. Numbers are no texts, and stay.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence

import duckdb
import msgspec

from pipeline.io.progress import watch
from pipeline.io.streams import is_terminal, is_utf8, show_json, show_text, write_data, write_lines
from pipeline.io.temporary import spill_folder
from pipeline.store.database import limit_memory, quote_name, quote_text

MAX_ROWS = 1_000_000
WIDEST = 10_000
"""Characters of a table that no terminal shows."""
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
    held = [tuple(map(_keep_utf8, row)) for row in rows]
    if format == "csv":
        write_data([render_csv(columns, held).encode()])
    elif format == "json":
        write_data([render_json(columns, held).encode()])
    elif held:
        show_table(columns, held)


def _keep_utf8(value: object) -> object:
    """The name of a file may hold bytes that are not UTF-8: they are shown as escapes."""
    return show_text(value) if isinstance(value, str) and not is_utf8(value) else value


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
    with open_memory() as connection:
        write_lines(render_table(connection.from_arrow(answer), MAX_ROWS))


@contextlib.contextmanager
def open_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection without a warehouse, for writing answers."""
    with spill_folder() as folder, watch(duckdb.connect()) as connection:
        connection.execute(f"set temp_directory = {quote_text(folder)}")
        limit_memory(connection)
        yield connection


def render_table(relation: duckdb.DuckDBPyRelation, rows: int) -> str:
    """A relation as DuckDB prints it, at most so many rows of it."""
    width = shutil.get_terminal_size((160, 24)).columns if is_terminal() else WIDEST
    with contextlib.redirect_stdout(io.StringIO()) as text:
        relation.show(max_rows=rows, max_width=width)
    return text.getvalue()


def _cut(value: object) -> object:
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return [*value[:CUT_LIST], f"… {len(value) - CUT_LIST:,} more"]
    return value


def render_csv(columns: Columns, rows: Iterable[Sequence[object]]) -> str:
    """``rows`` as CSV with a header."""
    lines = [[name for name, _ in columns], *rows]
    return "".join(",".join(map(_write_cell, line)) + "\n" for line in lines)


def _write_cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list() | tuple():
            return _quote_cell(msgspec.json.encode(value).decode())
        case str():
            # An empty text is quoted, as DuckDB does: without, a cell is NULL.
            return _quote_cell(guard_text(value)) if value else '""'
    return str(value)


def _quote_cell(text: str) -> str:
    """``text`` in quotes where a reader would end it sooner; Python's own writer leaves a carriage return bare."""
    return '"' + text.replace('"', '""') + '"' if _ENDS_CELL.search(text) else text


def render_json(columns: Columns, rows: Iterable[Sequence[object]]) -> str:
    """``rows`` as a JSON array of objects."""
    names = [name for name, _ in columns]
    lines = [show_json(msgspec.json.encode(dict(zip(names, row, strict=True))).decode()) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


_ENDS_CELL = re.compile('[,"\r\n]')
GUARDED = "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n'"


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
    guarded = ", ".join(f"chr({ord(one)})" if ord(one) < ord(" ") else quote_text(one) for one in GUARDED)
    return f"case when {column}[1] in ({guarded}) then '''' || {column} else {column} end"
