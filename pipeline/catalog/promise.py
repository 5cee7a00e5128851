"""The promise to those who read what is published: which names and columns stay, by a version of the schema.

A promise is a file of ``promises/``, named by its version: what is published is written by it, and a test fails where
the project's own tables, views and macros are others. A change needs the next version; the earlier ones stay, and
their data are written beside the new.

Of each table the promise has its columns in order, each with DuckDB's type and whether it may be NULL, and the columns
of its Parquet files with their physical and logical types; of views and macros the columns with their types.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import duckdb
import msgspec

from pipeline.schema import (
    COMPUTED_TABLES,
    DERIVED_TABLES,
    STORED_SPECS,
    TABLES,
    Column,
    Relation,
    arrow_schema,
)
from pipeline.store.database import list_columns
from pipeline.store.sqlfiles import describe_macros, describe_views

SCHEMA = 1
"""The version of what is published now."""
PROMISES = Path(__file__).parent / "promises"


class PromisedColumn(msgspec.Struct, frozen=True, array_like=True):
    """A column of a table: ``type`` is DuckDB's."""

    name: str
    type: str
    nullable: bool


class PromisedTable(msgspec.Struct, frozen=True):
    """A table; ``parquet`` has for each leaf of its files path, physical type, logical type and definition level."""

    columns: list[PromisedColumn]
    parquet: list[tuple[str, str, str, int]]


class PromisedMacro(msgspec.Struct, frozen=True):
    """A macro: its parameters, of which those that may be left out are true, and columns with their types."""

    parameters: dict[str, bool]
    columns: dict[str, str]


class Promise(msgspec.Struct, frozen=True):
    """A version of the schema. Views have the types of their columns, but for those of a matrix's values."""

    version: int
    tables: dict[str, PromisedTable]
    views: dict[str, dict[str, str]]
    macros: dict[str, PromisedMacro]


@cache
def list_tables() -> Mapping[str, Relation]:
    """The tables that are published, by name: those of the warehouse, and ``specs``, whose rows views count."""
    view = next(one for one in describe_views() if one.name == "specs")
    described = {column.name: column.description for column in view.columns}
    columns = tuple(
        Column(one.name, one.type, described[one.name], one.nullable)
        for one in STORED_SPECS.columns
        if one.name in described
    )
    specs = Relation("specs", view.description, columns)
    return {one.name: one for one in (TABLES[0], specs, *TABLES[1:], *COMPUTED_TABLES, *DERIVED_TABLES)}


def read_promises(folder: Path = PROMISES) -> list[Promise]:
    """Every version of the schema, the newest first."""
    found = [msgspec.json.decode(path.read_bytes(), type=Promise) for path in folder.glob("*.json")]
    return sorted(found, key=lambda one: one.version, reverse=True)


def keep_promise(promise: Promise, name: str) -> Relation:
    """A table as a version of the schema has it.

    Raises:
        LookupError: the table, or one of its columns, is no more.
    """
    table = list_tables()[name]
    held = {column.name: column for column in table.columns}
    columns = (
        Column(one.name, one.type, held[one.name].description, one.nullable) for one in promise.tables[name].columns
    )
    return Relation(name, table.description, tuple(columns))


def describe_schema(connection: duckdb.DuckDBPyConnection) -> Promise:
    """The promise that the project would give today; ``connection`` is to any warehouse."""
    tables = {
        name: PromisedTable(
            [PromisedColumn(one.name, one.type, one.nullable) for one in table.columns], describe_parquet(table)
        )
        for name, table in list_tables().items()
    }
    views = {
        view.name: {name: kind for name, kind in list_columns(connection, view.name) if name in view.names}
        for view in describe_views()
        if view.name not in tables
    }
    macros = {
        macro.name: PromisedMacro(
            {one.name: one.nullable for one in macro.parameters},
            dict(list_columns(connection, call_macro(macro.name, ["x"] * count_needed(macro)))),
        )
        for macro in describe_macros()
    }
    return Promise(SCHEMA, tables, views, macros)


def count_needed(macro: Relation) -> int:
    """How many parameters a macro cannot do without: its first ones."""
    return sum(not one.nullable for one in macro.parameters)


def call_macro(name: str, arguments: Sequence[str]) -> str:
    """The SQL that asks a macro, with texts as its arguments."""
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in arguments)
    return f"{name}({listed})"


def describe_parquet(table: Relation) -> list[tuple[str, str, str, int]]:
    """The columns of a table's Parquet files, as an empty one has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table([[] for _ in table.columns], arrow_schema(table)), buffer)
    schema = pq.ParquetFile(buffer).schema
    leaves = (schema.column(number) for number in range(len(schema)))
    return [(leaf.path, leaf.physical_type, str(leaf.logical_type.type), leaf.max_definition_level) for leaf in leaves]
