"""The columns' one home and the database say the same, in both directions."""

import re
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.build import build
from pipeline.layout import Layout
from pipeline.schema import (
    COMPUTED_TABLES,
    DERIVED_TABLES,
    SPEC_STACKS,
    STORED_SPECS,
    TABLES,
    arrow_schema,
    describe_wide,
)
from pipeline.store.database import list_columns, open_database
from pipeline.store.sqlfiles import list_macros, list_views
from tests.makers import ask, make_page, make_spec, write_page
from tests.test_sql_cases import MACROS, RELATIONS, VIEWS, call, load

PAGES = Path(__file__).parent / "data" / "pages"
CACHE = Path(__file__).parent / "data" / "caches" / "spack-1.1"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns") / "warehouse"
    build([PAGES, CACHE], folder, jobs=1)
    return folder


def test_the_database_has_these_relations_and_no_other(warehouse):
    tables = ask(warehouse, "select table_name, comment from duckdb_tables() where not internal")
    views = ask(warehouse, "select view_name, comment from duckdb_views() where not internal")

    macros = ask(warehouse, "select function_name, comment from duckdb_functions() where not internal")

    expected = (STORED_SPECS, *TABLES[1:], *COMPUTED_TABLES, *DERIVED_TABLES)
    assert dict(tables) == {table.name: table.description for table in expected}
    assert dict(macros) == {macro.name: macro.description for macro in MACROS}
    assert dict(views) == {view.name: view.description for view in (SPEC_STACKS, *VIEWS)}


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=lambda relation: relation.name)
def test_a_relation_has_these_columns_with_these_comments(warehouse, relation):
    query = f"""
        select column_name, data_type, comment, is_nullable from duckdb_columns()
        where table_name = '{relation.name}' order by column_index
    """
    found = ask(warehouse, query)
    known = found[: len(relation.columns)]

    assert [(row[0], row[2]) for row in known] == [(c.name, c.description) for c in relation.columns]
    if relation in (STORED_SPECS, *TABLES, *COMPUTED_TABLES, *DERIVED_TABLES):
        assert [row[1] for row in known] == [column.type for column in relation.columns]
        if relation != SPEC_STACKS:  # a view, of which DuckDB says that all may be NULL
            assert [row[3] for row in known] == [column.nullable for column in relation.columns]
    for name, kind, comment, _ in found[len(relation.columns) :]:
        assert relation.wide
        assert (kind, comment) == ("BIGINT", describe_wide(relation.wide, name))


ARGUMENTS = {
    "host_target": "zen4",
    "from_snapshot": "develop",
    "to_snapshot": "develop-2025-03-30",
    **dict.fromkeys(("stack_a", "stack_b"), "e4s"),
    **dict.fromkeys(("snapshot_a", "snapshot_b"), "develop"),
}


def fill(macro):
    """A call of a macro with what must be given."""
    return call(macro.name, {one.name: ARGUMENTS[one.name] for one in macro.parameters if not one.nullable})


@pytest.mark.parametrize("macro", MACROS, ids=lambda macro: macro.name)
def test_a_macro_has_these_parameters_and_columns(warehouse, macro):
    query = f"select parameters from duckdb_functions() where function_name = '{macro.name}'"

    # DuckDB 1.2 lists named parameters in an order of its own.
    assert [set(names) for (names,) in ask(warehouse, query)] == [{one.name for one in macro.parameters}]
    described = [row[0] for row in ask(warehouse, f"describe from {fill(macro)}")]
    assert described == macro.names
    assert ask(warehouse, f"from {call(macro.name, {one.name: 'x' for one in macro.parameters})}") == []


@pytest.mark.parametrize("macro", MACROS, ids=lambda macro: macro.name)
def test_a_macros_column_that_may_hold_no_null_holds_none(warehouse, macro):
    for column in macro.columns:
        if not column.nullable:
            query = f'select count(*) from {fill(macro)} where "{column.name}" is null'
            assert ask(warehouse, query) == [(0,)]


@pytest.mark.parametrize("query", [*list_views(), *list_macros()], ids=lambda query: query.name)
def test_a_file_opens_with_what_its_view_or_macro_is(query):
    assert query.render().startswith(f"-- {query.name}: ")
    if query in list_views():
        assert f"create view {query.name} as\n" in query.render()


def test_a_matrix_column_is_described_by_its_value_and_not_by_its_name():
    rows = [{"stack": stack} for stack in ("E4S", "e4s", "package", "it's")]
    query = "select column_name, comment from duckdb_columns() where table_name = 'matrix_by_stack'"
    with duckdb.connect() as connection:
        load(connection, {"spec_stacks": rows})
        comments = dict(connection.execute(query).fetchall())

    names = {"E4S": "E4S", "e4s_2": "e4s", "package_2": "package", "it's": "it's"}
    assert {name: comments[name] for name in names} == {
        name: describe_wide("stack", stack) for name, stack in names.items()
    }
    assert None not in comments.values()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_column_that_may_hold_no_null_holds_none(warehouse, view):
    for column in view.columns:
        if not column.nullable:
            assert ask(warehouse, f'select count(*) from {view.name} where "{column.name}" is null') == [(0,)]


@pytest.mark.parametrize("relation", [*VIEWS, *MACROS], ids=lambda relation: relation.name)
def test_each_is_described_by_one_sentence_that_says_its_grain(relation):
    assert re.fullmatch(r"[A-Z][^.]* row per [^.]+[.]", relation.description)


def test_a_name_is_of_one_query():
    names = [query.name for query in (*list_views(), *list_macros())]

    assert len(names) == len(set(names))


def test_the_types_of_a_view_or_macro_are_known_by_the_database(warehouse):
    with open_database(Layout(warehouse)) as connection:
        columns = list_columns(connection, "summary_by_stack")[-6:]
        assert columns == [
            ("coverage", "DOUBLE"),
            *((name, "BIGINT") for name in ("specs", "size_bytes", "sized_specs", "installable", "installable_known")),
        ]
        assert list_columns(connection, "hash_diff(null, null)")[-1] == ("stacks", "VARCHAR[]")


@pytest.mark.parametrize("table", [*TABLES, *COMPUTED_TABLES, *DERIVED_TABLES], ids=lambda table: table.name)
def test_arrow_and_polars_read_the_schema_from_here(table):
    schema = arrow_schema(table)
    frame = pl.from_arrow(schema.empty_table())

    assert schema.names == table.names
    assert frame.columns == table.names
    assert [field.nullable for field in schema] == [column.nullable for column in table.columns]
    assert all(field.metadata[b"description"] for field in schema)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_parquet_files_are_typed_and_described_as_here(tmp_path, table):
    page = make_page([make_spec(1, tarball="https://host/x", size="7"), make_spec(2, hash="bad")])
    write_page(tmp_path, page)
    build([tmp_path, CACHE], tmp_path / "warehouse", jobs=1)
    warehouse = tmp_path / "warehouse"
    files = [file for file in (warehouse / table.name).rglob("*.parquet") if pq.read_metadata(file).num_rows]
    described = arrow_schema(table, without=() if table.name in ("rejects", "sources") else ("snapshot",))

    assert files
    for file in files:
        schema = pq.ParquetFile(file).schema_arrow
        assert schema.equals(described)
        assert [field.metadata for field in schema] == [field.metadata for field in described]
        group = pq.read_metadata(file).row_group(0)
        assert {group.column(index).compression for index in range(group.num_columns)} == {"ZSTD"}


def test_polars_reads_the_parquet_as_it_is(warehouse):
    frame = pl.read_parquet(warehouse / "spec_stacks/**/*.parquet", hive_partitioning=True)

    assert frame.height == 360 + 14
    assert set(frame.columns) == {column.name for column in RELATIONS["spec_stacks"].columns}
    assert frame["snapshot"].unique().sort().to_list() == [
        "caches",
        "develop",
        "develop-2025-03-16",
        "develop-2025-03-30",
    ]
