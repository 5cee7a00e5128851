"""One query of a user's own, on a connection that can only read the warehouse's tables and views.

DuckDB's own locks hold it to that: the database is opened read-only, access to anything outside it is off, and the
configuration is locked. What kind of statement it is says DuckDB's parser. The answer leaves as Arrow, and is written
by another connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from pipeline.ask.output import open_memory, render_table
from pipeline.errors import QueryError
from pipeline.io.streams import is_terminal, show_json, write_data, write_lines
from pipeline.io.temporary import private_folder
from pipeline.layout import Layout
from pipeline.store.database import open_database, quote_text

SHOWN_ROWS = 10_000
CHUNK = 2**20
COPY_OPTIONS = {"csv": "format csv, header", "json": "format json, array true", "parquet": "format parquet"}
LOCKS = (
    # What a query names are the warehouse's tables, never variables of this program or what DuckDB might fetch.
    "set python_enable_replacements = false",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    # Types that Arrow has not leave as they are.
    "set arrow_lossless_conversion = true",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
READING = "SELECT, FROM, WITH, VALUES, PIVOT, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN of these, or PRAGMA table_info"
SHELL = "for more, and for files of your own, there is: spack-warehouse shell"
_OUTSIDE = ("disabled by configuration", "configuration has been locked", "read-only mode")
"""What DuckDB says of a query that would leave the warehouse or change something."""


def run_query(layout: Layout, query: str, format: str) -> None:
    """Write the answer of one query to stdout: ``table``, ``csv``, ``json`` or ``parquet``.

    Raises:
        NoWarehouseError: there is no warehouse.
        QueryError: the query is not one statement that only reads the warehouse, or DuckDB refuses it.
    """
    if format == "parquet" and is_terminal():
        raise QueryError("Parquet is no text for a terminal: send it to a file, as in > answer.parquet")
    with open_database(layout) as connection:
        for lock in LOCKS:
            connection.execute(lock)
        try:
            relation = connection.sql(choose_statement(connection, query))
            if format == "table":
                write_lines(render_table(relation, SHOWN_ROWS))
            else:
                with write_answer(relation, format) as file:
                    write_data(read_chunks(file, format))
        except duckdb.Error as error:
            message = " ".join(str(error).split("\n\n")[0].split())
            raise QueryError(f"{message}; {SHELL}" if any(one in message for one in _OUTSIDE) else message) from None


def choose_statement(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """The one statement of a query, without what ends it.

    Raises:
        QueryError: it is not one, or of a kind that does more than read.
    """
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements, not one")
    text = query.encode()
    words = find_words(text)
    while text[words[-1] :][:1] == b";":
        text = text[: words.pop()]
    if not reads_only(connection, text):
        kind = statements[0].type.name.replace("_", " ")
        raise QueryError(f"the warehouse is read-only, and this {kind} statement is none of: {READING}; {SHELL}")
    return text.decode()


def find_words(text: bytes) -> list[int]:
    """Where each word of a query begins, comments left out; DuckDB counts in bytes."""
    return [offset for offset, kind in duckdb.tokenize(text.decode()) if kind != duckdb.token_type.comment]


def reads_only(connection: duckdb.DuckDBPyConnection, text: bytes) -> bool:
    """Whether one statement only reads, as its kind shows; DuckDB's locks refuse the rest."""
    (statement,) = connection.extract_statements(text.decode())
    words = [text[offset:] for offset in find_words(text)]
    match statement.type:
        case duckdb.StatementType.SELECT:
            return True
        case duckdb.StatementType.PRAGMA:
            return words[1].lstrip(b'"').lower().startswith(b"table_info")
    if words[0].lower().startswith(b"explain"):
        # What is explained is the longest rest that is a statement: ANALYZE and options come before it.
        for rest in words[1:]:
            with contextlib.suppress(duckdb.ParserException):
                return reads_only(connection, rest)
        return False
    if statement.type == duckdb.StatementType.MULTI:
        # PIVOT makes several of a statement. In a subquery stands only what reads.
        with contextlib.suppress(duckdb.ParserException):
            return len(connection.extract_statements(f"from (\n{text.decode()}\n)")) == 1
    return False


@contextlib.contextmanager
def write_answer(relation: duckdb.DuckDBPyRelation, format: str) -> Iterator[Path]:
    """A file of the answer by DuckDB's own writer, on a connection of its own; it is gone afterwards."""
    import pyarrow as pa

    with open_memory() as connection, private_folder() as folder:
        path = folder / "answer"
        answer = connection.from_arrow(pa.RecordBatchReader.from_stream(relation))
        answer.query("answer", f"copy answer to {quote_text(str(path))} ({COPY_OPTIONS[format]})")
        yield path


def read_chunks(path: Path, format: str) -> Iterator[bytes]:
    """A file in parts; JSON such that it is safe to show."""
    if format == "json":
        with path.open(encoding="utf-8", newline="") as text:
            while part := text.read(CHUNK):
                yield show_json(part).encode()
    else:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
