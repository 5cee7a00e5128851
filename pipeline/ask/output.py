"""How answers are printed: rows and queries as table, CSV, JSON or Parquet.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return for a
formula (OWASP, "CSV injection"), and ``+mpi`` is a variant: in CSV such a text gets a leading ``'``, and so
does one that begins with ``'`` itself. A program that takes one leading ``'`` off every text has the exact
value again. NULL is an empty cell; lists are JSON, guarded likewise.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import msgspec

from pipeline.errors import QueryError
from pipeline.layout import Layout
from pipeline.store.database import open_database, quote_name, quote_text

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


COPY_OPTIONS = {"csv": "format csv, header", "json": "format json, array true", "parquet": "format parquet"}


def run_query(layout: Layout, query: str, format: str) -> None:
    """Write the answer of one query to stdout: ``table``, ``csv``, ``json`` or ``parquet``.

    Raises:
        NoWarehouseError: there is no warehouse.
        QueryError: the query is not one statement that returns rows, or DuckDB refuses it.
    """
    with open_database(layout) as connection:
        try:
            check_statement(connection, query)
            relation = connection.sql(query)
            if format == "table":
                relation.show(max_rows=10_000, max_width=terminal_width())
            else:
                write_relation(relation, format)
        except duckdb.Error as error:
            message = " ".join(str(error).split("\n\n")[0].split())
            raise QueryError(message) from None


def check_statement(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse what is not one statement that returns rows and changes nothing."""
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements, not one")
    if duckdb.ExpectedResultType.QUERY_RESULT not in statements[0].expected_result_type:
        raise QueryError(f"a {statements[0].type.name} statement returns no rows; the warehouse is read-only")


def terminal_width() -> int:
    return shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else 10_000


def write_relation(relation: duckdb.DuckDBPyRelation, format: str) -> None:
    """Write a relation to stdout by DuckDB's own writer, through a file: stdout may be a pipe."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "answer")
        relation.query("answer", f"copy answer to {quote_text(str(path))} ({COPY_OPTIONS[format]})")
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


GUARDED = "=+-@\t\r'"


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
