"""How answers are written: rows as CSV or JSON, relations as DuckDB prints them.

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
from pipeline.io.streams import is_terminal, show_json
from pipeline.io.temporary import spill_folder
from pipeline.store.database import limit_memory, quote_name, quote_text

MAX_ROWS = 1_000_000
WIDEST = 10_000
"""Characters of a table that no terminal shows."""

Columns = Sequence[tuple[str, str]]
"""(name, DuckDB's name of the type) of each column."""


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
