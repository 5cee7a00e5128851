"""The DuckDB file opens anywhere, in old and new DuckDB, for many readers at once."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import duckdb
import pytest

from pipeline.build import build
from pipeline.columns import RELATIONS
from pipeline.errors import NoWarehouseError
from pipeline.layout import Layout
from pipeline.warehouse import find_database, open_database
from tests.makers import ask

PAGES = Path(__file__).parent / "data" / "pages"
OLDEST = Path(sys.prefix) / "oldest-duckdb"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warehouse") / "warehouse"
    build([PAGES], folder, jobs=1)
    return folder


COUNTS = {name: f"select count(*) from {name}" for name in RELATIONS}


def count_all(warehouse):
    return {name: ask(warehouse, query)[0][0] for name, query in COUNTS.items()}


SHELL = shutil.which("duckdb", path=sysconfig.get_path("scripts"))


def run_shell(database, query, cwd):
    command = [SHELL, "-readonly", "-json", str(database), "-c", query]
    return json.loads(subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout)


def test_the_shell_opens_it_from_another_folder(warehouse, tmp_path):
    database = os.path.relpath(warehouse / "warehouse.duckdb", tmp_path)

    assert run_shell(database, "select count(*) as n from specs", tmp_path) == [{"n": 157}]


def test_the_shell_shows_the_comments(warehouse, tmp_path):
    query = "select comment from duckdb_columns() where table_name = 'specs' and column_name = 'in_root'"

    assert "root mirror" in run_shell(warehouse / "warehouse.duckdb", query, tmp_path)[0]["comment"]


def test_the_oldest_duckdb_gives_the_same_counts(warehouse, tmp_path):
    assert OLDEST.is_dir(), "DuckDB 1.2 is not installed: run the tests with `make test`"
    script = (
        "import duckdb, json, sys\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "counts = {n: connection.execute(q).fetchone()[0] for n, q in json.loads(sys.argv[2]).items()}\n"
        "rows = {n: len(connection.execute(f'from {n}').fetchall()) for n in counts}\n"
        "print(json.dumps([duckdb.__version__, counts, rows]))\n"
    )
    command = [sys.executable, "-c", script, str(warehouse / "warehouse.duckdb"), json.dumps(COUNTS)]
    environment = {**os.environ, "PYTHONPATH": str(OLDEST)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    version, counts, rows = json.loads(done.stdout)

    assert version.startswith("1.2.")
    assert counts == rows == count_all(warehouse)


def test_many_readers_read_at_once(warehouse):
    with open_database(Layout(warehouse)) as one, open_database(Layout(warehouse)) as two:
        assert one.execute("from snapshots").fetchall() == two.execute("from snapshots").fetchall()


def test_a_reader_cannot_write(warehouse):
    with open_database(Layout(warehouse)) as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("delete from spec_stacks")


def test_it_is_found_as_one_builds_own_path(warehouse):
    assert find_database(Layout(warehouse)).parent.parent.name == ".builds"


def test_no_warehouse_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(NoWarehouseError, match="spack-warehouse build"):
        find_database(Layout(tmp_path))


def test_garbage_is_an_error_that_says_what_to_do(warehouse, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(warehouse, copy, symlinks=True)
    Layout(copy).current.database.write_bytes(b"garbage" * 1000)

    with pytest.raises(NoWarehouseError, match=r"cannot be opened .* build it anew"), open_database(Layout(copy)):
        pass
