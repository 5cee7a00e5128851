"""The views' edges: each case is a folder's file of input rows and the rows that a view must give.

A macro's cases give the ``arguments`` of each call: in order, or by name.
"""

import datetime as dt
from pathlib import Path

import duckdb
import pytest
import yaml

from pipeline.schema import CHANGES, COMPUTED_TABLES, DERIVED_TABLES, SPEC_STACKS, STORED_SPECS, TABLES
from pipeline.spack.compilers import compiler_family
from pipeline.spack.versions import version_key
from pipeline.store.changes import renew_changes
from pipeline.store.database import create_tables, create_views, quote_name, quote_text, store_rows
from pipeline.store.sqlfiles import describe_macros, describe_views

VIEWS, MACROS = describe_views(), describe_macros()
RELATIONS = {relation.name: relation for relation in (STORED_SPECS, *TABLES, *COMPUTED_TABLES, *DERIVED_TABLES, *VIEWS)}
CASES = sorted((Path(__file__).parent / "sql_cases").glob("*/*.yaml"))

# What a row of each table has where a case does not say.
DEFAULTS = {
    "spec_stacks": {
        "snapshot": "develop",
        "package": "hdf5",
        "hash": "h1",
        "stack": "e4s",
        "version": "1.14.5",
        "compiler": "gcc@11.4.0",
        "compiler_name": "gcc",
        "compiler_version": "11.4.0",
        "compiler_raw": "gcc@11.4.0",
        "os": "ubuntu22.04",
        "platform": "linux",
        "target": "x86_64_v3",
        "variants": [],
        "source": "page",
        "libc_known": False,
    },
    "pages": {
        "snapshot": "develop",
        "package": "hdf5",
        "path": "page",
        "bytes": 1,
        "sha256": "s",
        "specs": 1,
        "rejects": 0,
        "unknown_keys": [],
        "state": "loaded",
    },
    "dependencies": {"snapshot": "develop", "hash": "h1", "deptypes": ["link"], "virtuals": []},
    "records": {
        "snapshot": "develop",
        "stack": "hep",
        "hash": "h7",
        "package": "glibc",
        "version": "2.35",
        "kind": "external",
        "compiler": "none",
        "os": "ubuntu22.04",
        "platform": "linux",
        "target": "x86_64_v3",
        "external_modules": [],
        "source": "i",
    },
    "tags": {"snapshot": "develop"},
    "missing_dependencies": {
        "snapshot": "develop",
        "stack": "e4s",
        "hash": "h1",
        "package": "hdf5",
        "missing_package": "zlib",
        "missing_hash": "h8",
        "reason": "hole",
        "depth": 1,
    },
    "rejects": {"path": "page", "place": "file", "reason": "because"},
    "sources": {"source": "site", "kind": "pages", "snapshot": "develop", "state": "loaded"},
}


def complete(table, row):
    """A row with what a case leaves out: defaults, and what the build derives."""
    values = {**DEFAULTS[table], **row}
    if table == "spec_stacks":
        derived = {
            "version_key": version_key(values["version"]),
            "compiler_family": compiler_family(values["compiler_name"]),
        }
        values = {**derived, **values}
    return values


def insert(connection, given):
    """Add rows to the tables, each completed; those of ``spec_stacks`` are stored as a build stores them."""
    for table, rows in given.items():
        target = table
        if table == "spec_stacks":
            target = "given"
            columns = ", ".join(f"{quote_name(column.name)} {column.type}" for column in SPEC_STACKS.columns)
            connection.execute(f"create temp table given ({columns})")
        for row in rows:
            values = complete(table, row)
            marks = ", ".join("?" for _ in values)
            connection.execute(f"insert into {target} ({', '.join(values)}) values ({marks})", list(values.values()))
        if table == "spec_stacks":
            store_rows(connection, "given")
            connection.execute("drop table given")


def load(connection, given):
    """The tables and views of a warehouse that holds the given rows."""
    create_tables(connection)
    insert(connection, given)
    create_views(connection)
    renew_changes(connection)


def call(relation, arguments=None):
    """What stands after FROM: a relation's name, for a macro with its arguments."""
    if relation not in CALLABLE:
        assert not arguments
        return relation
    if isinstance(arguments, dict):
        return f"{relation}({', '.join(f'{name} := {quote_text(value)}' for name, value in arguments.items())})"
    return f"{relation}({', '.join(map(quote_text, arguments))})"


CALLABLE = {macro.name: macro for macro in MACROS}


def spell(cell):
    return str(cell) if isinstance(cell, dt.date) else cell


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path):
    case, view = yaml.safe_load(path.read_text()), path.parent.name
    with duckdb.connect() as connection:
        load(connection, case["given"])
        for expected in case["expect"]:
            relation = CALLABLE.get(view) or RELATIONS[view]
            columns = list(expected["rows"][0]) if expected["rows"] else relation.names
            assert all(row.keys() == set(columns) for row in expected["rows"]), "rows with other columns"
            selected = "*" if relation.wide else ", ".join(map(quote_name, columns))
            cursor = connection.execute(f"select {selected} from {call(view, expected.get('arguments'))}")
            assert [column[0] for column in cursor.description] == columns
            found = cursor.fetchall()
            made = [{name: spell(cell) for name, cell in zip(columns, row, strict=True)} for row in found]
            assert sorted(made, key=repr) == sorted(
                ({name: row[name] for name in columns} for row in expected["rows"]), key=repr
            )


def test_every_view_has_a_case():
    assert {path.parent.name for path in CASES} == {view.name for view in (CHANGES, *VIEWS, *MACROS)}
