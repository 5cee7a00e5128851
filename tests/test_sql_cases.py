"""The views' edges: each case is a folder's file of input rows and the rows that a view must give."""

from pathlib import Path

import duckdb
import pytest
import yaml

from pipeline.columns import RELATIONS, TABLES, VIEWS
from pipeline.compilers import compiler_family
from pipeline.versions import version_key
from pipeline.warehouse import create_tables, create_views

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
    },
    "rejects": {"path": "page", "place": "file", "reason": "because"},
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


def load(connection, given):
    create_tables(connection)
    for table in TABLES:
        for row in given.get(table.name, []):
            values = complete(table.name, row)
            columns = ", ".join(values)
            marks = ", ".join("?" for _ in values)
            connection.execute(f"insert into {table.name} ({columns}) values ({marks})", list(values.values()))
    create_views(connection)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path):
    case = yaml.safe_load(path.read_text())
    with duckdb.connect() as connection:
        load(connection, case["given"])
        for expected in case["expect"]:
            columns = list(expected["rows"][0]) if expected["rows"] else RELATIONS[path.parent.name].names
            selected = ", ".join(f'"{column}"' for column in columns)
            found = connection.execute(f"select {selected} from {path.parent.name} order by all").fetchall()
            texts = [tuple(str(cell) if hasattr(cell, "year") else cell for cell in row) for row in found]
            assert sorted(texts, key=repr) == sorted((tuple(row.values()) for row in expected["rows"]), key=repr)


def test_every_view_has_a_case():
    assert {path.parent.name for path in CASES} == {view.name for view in VIEWS}
