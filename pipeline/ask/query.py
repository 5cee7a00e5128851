"""Answer one SQL query on the warehouse, in the format that is asked for."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import duckdb

from pipeline.errors import QueryError
from pipeline.layout import Layout
from pipeline.store.database import open_database, quote_text

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
