"""The DuckDB file: tables from Parquet, views from ``sql/``, comments from both their homes."""

from __future__ import annotations

import contextlib
import resource
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipeline.errors import NoWarehouseError, WarehouseError
from pipeline.io.progress import watch
from pipeline.io.temporary import database_path, spill_folder
from pipeline.layout import DATABASE, BuildPaths, Layout
from pipeline.schema import (
    CHANGES,
    COMPUTED_TABLES,
    DEPENDENCIES,
    DERIVED_TABLES,
    HOSTS_TABLE,
    LINEAGE_TABLE,
    MATRIX_COLUMNS,
    PAGES_TABLE,
    RECORDS,
    REJECTS,
    RELEASES_TABLE,
    SNAPSHOT_TABLES,
    SOURCES,
    SPEC_STACKS,
    STORED_SPECS,
    TABLES,
    TAGS_TABLE,
    TARGETS_TABLE,
    VARIANT_SETS,
    Relation,
    arrow_schema,
    describe_wide,
)
from pipeline.sources.tags import Tags
from pipeline.spack.hosts import STACK_LINEAGE, WELL_KNOWN_HOSTS, list_ancestry
from pipeline.spack.systems import list_releases
from pipeline.spack.variants import normalise_variants
from pipeline.store.sqlfiles import SqlQuery, describe_macros, describe_views, list_macros, list_stored, list_views
from pipeline.store.state import SnapshotRows

if TYPE_CHECKING:
    import pyarrow as pa

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB whose shell must open the file."""
MEMORY = 460 * 2**20
"""Bytes that the process may hold while DuckDB builds, checks or answers; beyond that it spills."""
LEAST_MEMORY = 200 * 2**20
"""Bytes that DuckDB loads and checks a part of a warehouse in; with 150 MiB it gave up on some."""

PART_ROWS = 1_500_000
"""So many rows are loaded and checked at once: DuckDB groups them within its memory limit."""


COMMENTS = 25
"""Comments on a matrix's columns in one transaction."""


def quote_name(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def limit_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave DuckDB what the process does not hold already."""
    try:
        held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # no such file but on Linux
        held = 100 * 2**20
    connection.execute(f"set memory_limit = '{max(MEMORY - held, LEAST_MEMORY)}B'")


@contextlib.contextmanager
def attach_database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that writes a warehouse file, which is complete on disk when the context ends."""
    with watch(duckdb.connect()) as connection:
        limit_memory(connection)
        spill_beside(connection, path)
        connection.execute(
            f"attach {quote_text(str(path))} as warehouse (storage_version {quote_text(STORAGE_VERSION)})"
        )
        connection.execute("use warehouse")
        # Rows have no order of their own, and keeping one would leave all but one thread idle.
        connection.execute("set preserve_insertion_order = false")
        # FSST is weighed for every column of text: a fifth of the time of loading, for a quarter less on disk.
        connection.execute("set disabled_compression_methods = 'fsst'")
        # Where a snapshot was taken out, the rest is not moved together: that would write most of the file anew.
        connection.execute("set max_vacuum_tasks = 0")
        yield connection
        connection.execute("checkpoint warehouse")
        connection.execute("use memory")
        connection.execute("detach warehouse")


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All that is done in it, or nothing. What is inserted goes to its place in the file, and not to a log first."""
    connection.begin()
    try:
        yield
    except BaseException:
        # Where a query fails the whole transaction has ended already.
        with contextlib.suppress(duckdb.Error):
            connection.rollback()
        raise
    connection.commit()


def spill_beside(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Let DuckDB put what exceeds its memory beside a warehouse file, not in the user's working directory."""
    connection.execute(f"set temp_directory = {quote_text(str(path.with_suffix('.tmp')))}")


@contextlib.contextmanager
def open_tables(
    layout: Layout, build: BuildPaths, affected: Iterable[str] | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of the new database: empty, or the published ones less the ``affected`` snapshots."""
    if affected is not None and layout.current is not None:
        shutil.copyfile(layout.current.database, build.database)
    with attach_database(build.database) as connection:
        with transaction(connection):
            if affected is None:
                create_tables(connection)
            else:
                delete_snapshots(connection, affected)
        yield connection


def cut_parts(snapshots: Mapping[str, SnapshotRows]) -> Iterator[list[str]]:
    """Snapshots in parts of about :data:`PART_ROWS` rows of ``spec_stacks``."""
    part: list[str] = []
    held = 0
    for snapshot, counts in snapshots.items():
        part.append(snapshot)
        held += counts.rows
        if held >= PART_ROWS:
            yield part
            part, held = [], 0
    if part:
        yield part


def load_snapshots(connection: duckdb.DuckDBPyConnection, build: BuildPaths, snapshots: Sequence[str]) -> None:
    """Append the Parquet files of some snapshots to the tables, as one transaction."""
    with transaction(connection):
        published = {PAGES_TABLE: build.pages, DEPENDENCIES: build.dependencies, RECORDS: build.records}
        for table in SNAPSHOT_TABLES:
            find = published.get(table) or partial(build.loaded, table.name)
            files = {find(snapshot): snapshot for snapshot in snapshots}
            load_partitions(connection, table, {file: snapshot for file, snapshot in files.items() if file.exists()})


def load_partitions(connection: duckdb.DuckDBPyConnection, table: Relation, files: Mapping[Path, str]) -> None:
    """Append Parquet files to a table, each with the snapshot of its partition.

    All go in by one statement, which DuckDB spreads over its threads. The snapshot is not left to
    DuckDB to read off the path: a folder above the warehouse may look like a partition too.
    """
    if not files:
        return
    columns = ["parts.snapshot", *(f"rows.{quote_name(name)}" for name in table.names if name != "snapshot")]
    parts = ", ".join(f"({quote_text(str(file))}, {quote_text(snapshot)})" for file, snapshot in files.items())
    connection.execute(
        f"insert into {table.name} select {', '.join(columns)} from {read_files(files)} as rows "
        f"inner join (values {parts}) as parts (file, snapshot) on rows.file = parts.file"
    )


def load_unparted(connection: duckdb.DuckDBPyConnection, build: BuildPaths) -> None:
    """Make the tables of rejects and sources those of the Parquet files, as one transaction."""
    with transaction(connection):
        for table, files in ((REJECTS, build.all_rejects()), (SOURCES, [build.sources])):
            connection.execute(f"delete from {table.name}")
            columns = ", ".join(map(quote_name, table.names))
            connection.execute(f"insert into {table.name} select {columns} from {read_files(files)}")


def load_tags(connection: duckdb.DuckDBPyConnection, tags: Tags) -> None:
    """Make the table of tags that of ``tags``."""
    import pyarrow as pa

    rows = [dict(zip(TAGS_TABLE.names, row, strict=True)) for row in tags.rows]
    with transaction(connection):
        replace_table(connection, TAGS_TABLE, pa.Table.from_pylist(rows, arrow_schema(TAGS_TABLE)))


def read_files(files: Iterable[Path]) -> str:
    """The SQL that reads Parquet files, with a column ``file`` for the path of each row's."""
    listed = ", ".join(quote_text(str(file)) for file in files)
    return f"read_parquet([{listed}], filename = 'file', hive_partitioning = false)"


def delete_snapshots(connection: duckdb.DuckDBPyConnection, snapshots: Iterable[str]) -> None:
    """Take snapshots out of the tables."""
    for snapshot in snapshots:
        for table in SNAPSHOT_TABLES:
            connection.execute(f"delete from {table.name} where snapshot = ?", [snapshot])


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the empty tables, with their comments, and ``spec_stacks`` as a view on the specs at their own grain."""
    for table in (*SNAPSHOT_TABLES, REJECTS, SOURCES, TAGS_TABLE, CHANGES):
        create_table(connection, table)
    connection.execute(list_stored()["spec_stacks"].render())
    comment(connection, "view", SPEC_STACKS)


def store_rows(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """Append the rows of a relation like ``spec_stacks`` to the specs at their own grain."""
    connection.execute(list_stored()[STORED_SPECS.name].render(arguments={"rows": rows}))


def create_table(connection: duckdb.DuckDBPyConnection, table: Relation) -> None:
    columns = ", ".join(
        f"{quote_name(column.name)} {column.type}{'' if column.nullable else ' not null'}" for column in table.columns
    )
    connection.execute(f"create table {table.name} ({columns})")
    comment(connection, "table", table)


def create_derived_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create and fill the tables that come from the project and not from a source."""
    import pyarrow as pa

    fixed: dict[Relation, Sequence[tuple[object, ...]]] = {
        TARGETS_TABLE: list_ancestry(),
        HOSTS_TABLE: WELL_KNOWN_HOSTS,
        RELEASES_TABLE: list_releases(),
        LINEAGE_TABLE: STACK_LINEAGE,
    }
    for table, rows in fixed.items():
        named = [dict(zip(table.names, row, strict=True)) for row in rows]
        replace_table(connection, table, pa.Table.from_pylist(named, arrow_schema(table)))
    # Few lists stand for many specs; as Arrow they are small, and Python sees some at a time.
    lists = connection.sql(f"select distinct variants from {STORED_SPECS.name}").to_arrow_table().column(0)
    keys = [[normalise_variants(texts) for texts in chunk.to_pylist()] for chunk in lists.chunks]
    columns = [lists, pa.chunked_array(keys, pa.string())]
    replace_table(connection, VARIANT_SETS, pa.Table.from_arrays(columns, arrow_schema(VARIANT_SETS).names))


def replace_table(connection: duckdb.DuckDBPyConnection, table: Relation, rows: pa.Table) -> None:
    """Create a table with these rows, in place of one that is there."""
    connection.execute(f"drop table if exists {table.name}")
    create_table(connection, table)
    connection.register("rows_of_table", rows)
    connection.execute(f"insert into {table.name} select * from rows_of_table")
    connection.unregister("rows_of_table")


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the derived tables, every view and every macro of ``sql/``, in place of those that are there.

    Views that are there already, as the last build of this version left them, stay if the data asks for the same
    columns of the matrices.
    """
    with transaction(connection):
        create_derived_tables(connection)
    if has_views(connection):
        return
    with transaction(connection):
        for macro in reversed(list_macros()):
            connection.execute(f"drop macro table if exists {macro.name}")
        for view in reversed(list_views()):
            connection.execute(f"drop view if exists {view.name}")
        for view in list_views():
            define_view(connection, view)
        for described in describe_views():
            comment(connection, "view", described)
        for macro in list_macros():
            create_macro(connection, macro)
        for described in describe_macros():
            # A macro's columns have no comments of their own in DuckDB.
            connection.execute(f"comment on macro table {described.name} is {quote_text(described.description)}")
    for described in describe_views():
        describe_matrix_columns(connection, described)


def describe_matrix_columns(connection: duckdb.DuckDBPyConnection, view: Relation) -> None:
    """Comment the columns of a wide view that come from the data; none of any other view.

    Each comment is a copy of the whole view until its transaction ends: 500 in one would take 360 MB.
    """
    described = list(describe_matrix(connection, view).items())
    for first in range(0, len(described), COMMENTS):
        with transaction(connection):
            for column, description in described[first : first + COMMENTS]:
                describe(connection, view.name, column, description)


def has_views(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the database has every view and macro, its matrices with the columns that the data asks for."""
    query = """
        select column_name, comment from duckdb_columns()
        where database_name = current_database() and table_name = ?
    """
    for view in describe_views():
        if view.wide is not None:
            held = connection.execute(query, [view.name]).fetchall()
            wide = {name: text for name, text in held if name not in view.names}
            if not held or wide != describe_matrix(connection, view):
                return False
    return not find_missing(connection)


def describe_matrix(connection: duckdb.DuckDBPyConnection, view: Relation) -> dict[str, str]:
    """The columns of a wide view that come from the data, with their descriptions; none of any other view."""
    if view.wide is None:
        return {}
    return {column: describe_wide(view.wide, value) for value, column in wide_columns(connection, view.wide)}


def define_view(connection: duckdb.DuckDBPyConnection, view: SqlQuery) -> None:
    """Create a view, without its comments, on the tables that are there."""
    connection.execute(render(connection, list_stored().get(view.name, view)))


def create_macro(connection: duckdb.DuckDBPyConnection, macro: SqlQuery) -> None:
    """Create a table macro, without its comment."""
    parameters = ", ".join(f"{one.name} := null" if one.nullable else one.name for one in macro.parameters)
    connection.execute(f"create macro {macro.name}({parameters}) as table\n{macro.render()}")


def render(connection: duckdb.DuckDBPyConnection, query: SqlQuery) -> str:
    """The SQL of a view or check, a matrix's columns written out from the data."""
    columns = wide_columns(connection, query.axis) if query.is_wide else []
    return query.render([(quote_text(value), quote_name(column)) for value, column in columns])


def wide_columns(connection: duckdb.DuckDBPyConnection, axis: str) -> list[tuple[str, str]]:
    """(value, column name) for each value of an axis, in text order, as its matrix has them.

    Of more than :data:`MATRIX_COLUMNS` values those count that the most specs of all snapshots have, and of
    equals the first by name.

    A column is named by its value. To DuckDB names that differ by case alone are one: a value that
    would repeat an earlier name gets ``_2``, ``_3`` …, whichever is no other value's name.
    """
    value = "unnest(stacks)" if axis == "stack" else axis
    counted = f"select value, count(*) as specs from (select {value} as value from {STORED_SPECS.name}) group by value"
    largest = f"select value from ({counted}) order by specs desc, value limit {MATRIX_COLUMNS}"
    values = connection.execute(f"from ({largest}) order by value").fetchall()
    taken = {"snapshot", "package"}
    plain = {value.lower() for (value,) in values}
    columns = []
    for (value,) in values:
        name, number = value, 1
        while name.lower() in taken or (number > 1 and name.lower() in plain):
            number += 1
            name = f"{value}_{number}"
        taken.add(name.lower())
        columns.append((value, name))
    return columns


def comment(connection: duckdb.DuckDBPyConnection, kind: str, relation: Relation) -> None:
    """Push the descriptions of a relation and its columns into the database."""
    connection.execute(f"comment on {kind} {relation.name} is {quote_text(relation.description)}")
    for column in relation.columns:
        describe(connection, relation.name, column.name, column.description)


def describe(connection: duckdb.DuckDBPyConnection, relation: str, column: str, description: str) -> None:
    connection.execute(f"comment on column {relation}.{quote_name(column)} is {quote_text(description)}")


def find_database(layout: Layout) -> Path:
    """The published warehouse file, as one build's own path: a build meanwhile does not change it.

    Raises:
        NoWarehouseError: there is none.
    """
    if layout.database.is_file():
        return layout.database.resolve()
    if layout.current is not None:
        raise NoWarehouseError(f"{layout.root}: was built with --no-database; to put questions to it, build it without")
    raise NoWarehouseError(f"{layout.root}: no {DATABASE} here; build one with: spack-warehouse build SOURCE")


@contextlib.contextmanager
def open_database(layout: Layout, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the published warehouse, or to one build's ``path`` as :func:`find_database` gave it.

    Raises:
        NoWarehouseError: there is none, DuckDB cannot open it, or it is of another version.
        WarehouseError: what is asked of it takes more memory than there is.
    """
    path = path or find_database(layout)
    with contextlib.ExitStack() as stack:
        spill = stack.enter_context(spill_folder())
        plain = stack.enter_context(database_path(path))
        try:
            connection = stack.enter_context(connect(plain, spill))
            missing = find_missing(connection)
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise NoWarehouseError(
                f"{path}: cannot be opened ({first}); build it anew with: spack-warehouse build SOURCE"
            ) from None
        if missing:
            raise NoWarehouseError(
                f"{path}: was built by another version, and has no {missing[0]}; "
                "build it anew with: spack-warehouse build SOURCE"
            )
        try:
            yield connection
        except duckdb.OutOfMemoryException as error:
            first = str(error).splitlines()[0]
            raise WarehouseError(f"{path}: the question asks for more memory than there is ({first})") from None
        except duckdb.Error as error:
            raise WarehouseError(f"{path}: {str(error).splitlines()[0]}") from error


def find_missing(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables, views and macros that a warehouse of this version has and the open one has not."""
    held = connection.execute(
        "select table_name from duckdb_tables() where database_name = current_database() "
        "union select view_name from duckdb_views() where database_name = current_database() "
        "union select function_name from duckdb_functions() "
        "where database_name = current_database() and function_type = 'table_macro'"
    ).fetchall()
    names = [table.name for table in (STORED_SPECS, *TABLES, *COMPUTED_TABLES, *DERIVED_TABLES)]
    names += [query.name for query in (*list_views(), *list_macros())]
    return [name for name in names if (name,) not in held]


def list_columns(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    """Name and type of each column of a table, view, or macro with its arguments."""
    return [(name, kind) for name, kind, *_ in connection.execute(f"describe from {relation}").fetchall()]


def connect(path: Path, spill: str) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a warehouse file; what exceeds its memory goes to the folder ``spill``.

    Beside the file that would be a part of the published build, and a reader may not be allowed to write there.
    """
    connection = watch(duckdb.connect(str(path), read_only=True))
    connection.execute(f"set temp_directory = {quote_text(spill)}")
    # DuckDB draws a bar of its own on stdout where it takes Python for interactive, as in a worker process.
    connection.execute("set enable_progress_bar = false")
    limit_memory(connection)
    return connection
