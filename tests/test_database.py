"""The DuckDB file opens anywhere, in old and new DuckDB, for many readers at once."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.cli import cli
from pipeline.errors import NoWarehouseError
from pipeline.layout import Layout
from pipeline.schema import SPEC_STACKS
from pipeline.store.checks import SHOWN, run_checks
from pipeline.store.database import (
    create_views,
    find_database,
    has_views,
    open_database,
    quote_name,
    quote_text,
    wide_columns,
)
from pipeline.store.sqlfiles import list_views
from tests.makers import ask, build_pages, make_spec, thorough, write_pages
from tests.test_sql_cases import MACROS, RELATIONS, VIEWS, call, load
from tests.test_sql_cases import insert as add_rows

PAGES = Path(__file__).parent / "data" / "pages"
OLDEST = Path(sys.prefix) / "oldest-duckdb"


@pytest.fixture(scope="module")
def warehouse(sample):
    return sample


@pytest.fixture(scope="module")
def odd_warehouse(tmp_path_factory):
    """One in which every table and view has rows, with names that must be quoted."""
    spec = make_spec(1, stacks=["E4S", "e4s", "snapshot", "a'b", 'a"b'], size="7", new_key=1)
    pages = {
        ("v0.9", "<script>"): [spec, make_spec(2, stacks=["root"]), make_spec(3, hash="bad")],
        ("v0.9", "a'b"): [make_spec(4, stacks=["E4S"])],
        ("v0.10", "a'b"): [make_spec(5, stacks=["E4S"], variants=["+mpi"])],
    }
    return build_pages(tmp_path_factory.mktemp("odd"), pages, {("v0.9", "<script>"): {"num_specs": 7}})


ARGUMENTS = {"usable_on": ["zen4"], "stack_diff": ["v0.9", "e4s", "v0.10", "e4s"]}
CALLS = [call(macro.name, ARGUMENTS.get(macro.name, ["v0.9", "v0.10"])) for macro in MACROS]
COUNTS = {name: f"select count(*) from {name}" for name in (*RELATIONS, *CALLS)}


def count_all(warehouse, counts=COUNTS):
    return {name: ask(warehouse, query)[0][0] for name, query in counts.items()}


SHELL = shutil.which("duckdb", path=sysconfig.get_path("scripts"))


def run_shell(database, query, cwd):
    command = [SHELL, "-readonly", "-json", str(database), "-c", query]
    return json.loads(subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout)


def test_the_shell_opens_it_from_another_folder(warehouse, tmp_path):
    database = os.path.relpath(warehouse / "warehouse.duckdb", tmp_path)

    assert run_shell(database, "select count(*) as n from specs", tmp_path) == [{"n": 157}]


@pytest.mark.slow
def test_the_shell_counts_what_python_counts(odd_warehouse, tmp_path):
    query = " union all ".join(f"select {quote_text(name)} as name, ({count}) as n" for name, count in COUNTS.items())
    rows = run_shell(odd_warehouse / "warehouse.duckdb", query, tmp_path)

    assert {row["name"]: row["n"] for row in rows} == count_all(odd_warehouse)
    # Of pages: what only indexes give is empty.
    assert {row["name"] for row in rows if not row["n"]} == {
        "dependencies",
        "records",
        "missing_dependencies",
        "external_dependencies",
        "stack_absences",
        "summary_by_missing",
        "tags",
    }


def test_the_shell_shows_the_comments(warehouse, tmp_path):
    database = warehouse / "warehouse.duckdb"
    query = "select comment from duckdb_columns() where table_name = 'specs' and column_name = 'in_root'"
    comments = run_shell(database, "select view_name, comment from duckdb_views() where not internal", tmp_path)

    assert "root mirror" in run_shell(database, query, tmp_path)[0]["comment"]
    described = {view.name: view.description for view in (SPEC_STACKS, *VIEWS)}
    assert {row["view_name"]: row["comment"] for row in comments} == described


@pytest.mark.parametrize(
    "copy", [pytest.param(["cp", "-r"], marks=pytest.mark.slow), ["cp", "-rL"], ["mv"]], ids=" ".join
)
def test_it_opens_after_its_folder_was_copied_or_moved(tmp_path, copy):
    warehouse = build_pages(tmp_path, {("develop", "hdf5"): [make_spec(1)]})
    counts, elsewhere = count_all(warehouse), tmp_path / "else where"
    subprocess.run([*copy, str(warehouse), str(elsewhere)], check=True)
    shutil.rmtree(warehouse, ignore_errors=True)

    shown = run_shell(elsewhere / "warehouse.duckdb", "select count(*) as n from spec_stacks", tmp_path)
    assert shown == [{"n": counts["spec_stacks"]}] == [{"n": 2}]
    assert {name: read_alone(elsewhere / "warehouse.duckdb", name) for name in counts} == counts


def read_alone(database, name):
    """How many rows a table or view has, by the path that a user sees."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(COUNTS[name]).fetchall()[0][0]


def test_it_is_written_in_the_storage_format_of_the_oldest_duckdb(warehouse):
    query = "select tags['storage_version'] from duckdb_databases() where not internal and path is not null"

    assert [str(version).split(" ")[0] for (version,) in ask(warehouse, query)] == ["v1.2.0+"]


def run_oldest(script, *arguments, cwd):
    """What a Python script prints as JSON under the oldest DuckDB that must open a warehouse."""
    assert OLDEST.is_dir(), f"DuckDB 1.2 is not in {OLDEST}: `make test` installs it"
    command = [sys.executable, "-c", script, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(OLDEST)}
    return json.loads(subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("made", ["warehouse", "odd_warehouse"])
def test_the_oldest_duckdb_gives_the_same_answers(request, tmp_path, made):
    warehouse = request.getfixturevalue(made)
    script = (
        "import duckdb, json, sys\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "counts = {n: connection.execute(q).fetchone()[0] for n, q in json.loads(sys.argv[2]).items()}\n"
        "rows = {n: sorted(map(repr, connection.execute(f'from {n}').fetchall())) for n in counts}\n"
        "print(json.dumps([duckdb.__version__, counts, rows]))\n"
    )
    # That one says itself that it is for newer ones: its steps are worked out there as often as they are read.
    asked = {name: query for name, query in COUNTS.items() if not name.startswith("loss_heads_between(")}
    version, counts, rows = run_oldest(script, str(warehouse / "warehouse.duckdb"), json.dumps(asked), cwd=tmp_path)

    assert version.startswith("1.2.")
    assert counts == count_all(warehouse, asked)
    assert rows == {name: sorted(map(repr, ask(warehouse, f"from {name}"))) for name in counts}


def test_several_processes_read_at_once(warehouse, tmp_path):
    # Each says that it has the file open, and reads only when all have said so.
    script = (
        "import duckdb, sys\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(connection.execute('select count(*) from specs').fetchone()[0])\n"
    )
    command = [sys.executable, "-c", script, str(warehouse / "warehouse.duckdb")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(subprocess.Popen(command, cwd=tmp_path, **pipes)) for _ in range(3)]
        assert [reader.stdout.readline() for reader in readers] == ["open\n"] * 3
        assert [reader.communicate("read\n")[0] for reader in readers] == ["157\n"] * 3


def test_many_readers_read_at_once(warehouse):
    with open_database(Layout(warehouse)) as one, open_database(Layout(warehouse)) as two:
        assert one.execute("from snapshots").fetchall() == two.execute("from snapshots").fetchall()


def test_a_reader_cannot_write(warehouse):
    with open_database(Layout(warehouse)) as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("delete from stored_specs")


names = st.sampled_from(["e4s", "E4S", "e4s_2", "E4S_2", "e4s_3", "snapshot", "Package", "package_2", "ü", "Ü", 'a"b'])


@pytest.mark.slow
@thorough(4, 30)
@given(st.lists(names, min_size=1, unique=True))
def test_each_value_has_a_column_and_none_that_is_named_like_another_value(stacks):
    with duckdb.connect() as connection:
        load(connection, {"spec_stacks": [{"stack": stack} for stack in stacks]})
        columns = wide_columns(connection, "stack")
        (row,) = connection.execute("from matrix_by_stack").fetchall()

    assert [value for value, _ in columns] == sorted(stacks)
    assert (
        len({name.lower() for name in [*RELATIONS["matrix_by_stack"].names, *dict(columns).values()]})
        == len(row)
        == 2 + len(stacks)
    )
    assert all(name == value or name not in stacks for value, name in columns)


@pytest.mark.slow
@thorough(4, 30)
@given(st.dictionaries(names, st.integers(1, 3), min_size=1), st.integers(1, 4))
def test_a_matrix_has_the_values_of_the_most_specs_and_a_warning_names_the_others(counts, most):
    rows = [{"stack": stack, "hash": f"{stack}{one}"} for stack, count in counts.items() for one in range(count)]
    ranked = sorted(counts, key=lambda stack: (-counts[stack], stack))
    with pytest.MonkeyPatch.context() as patch, duckdb.connect() as connection:
        patch.setattr("pipeline.store.database.MATRIX_COLUMNS", most)
        load(connection, {"spec_stacks": [*rows, {"stack": "root", "package": "zlib"}]})
        columns = [value for value, _ in wide_columns(connection, "stack")]
        hdf5, zlib = connection.execute("from matrix_by_stack order by package").fetchall()
        found = {check.name: check for check in run_checks(connection)}

    assert columns == sorted(ranked[:most])
    assert hdf5[2:] == tuple(counts[stack] for stack in columns)
    assert zlib[2:] == (0,) * len(columns)
    left_out = found["matrix_by_stack_columns"]
    assert left_out.rows == [(stack, counts[stack]) for stack in ranked[most:]][:SHOWN]
    assert left_out.offenders == max(0, len(counts) - most)
    assert not found["matrix_by_stack_totals"].offenders


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["e4s"], ["e4s", "hep"]),
        (["e4s", "hep"], ["e4s"]),
        # The same names of columns for other values.
        (["A", "a"], ["A", "a_2"]),
    ],
)
def test_the_matrices_are_made_anew_when_the_data_asks_for_other_columns(before, after):
    def insert(stacks):
        connection.execute("delete from stored_specs")
        for stack in stacks:
            add_rows(connection, {"spec_stacks": [{"stack": stack}]})

    with duckdb.connect() as connection:
        load(connection, {"spec_stacks": []})
        insert(before)
        create_views(connection)
        assert has_views(connection)
        made = connection.execute("select view_oid from duckdb_views() where view_name = 'specs'").fetchall()
        insert([*before, "root"])
        create_views(connection)
        assert connection.execute("select view_oid from duckdb_views() where view_name = 'specs'").fetchall() == made

        insert(after)
        assert not has_views(connection)
        create_views(connection)
        assert has_views(connection)
        columns = wide_columns(connection, "stack")
        row = connection.sql("from matrix_by_stack").fetchall()
        assert [value for value, _ in columns] == after
        assert row == [("develop", "hdf5", *[1] * len(after))]


def test_a_view_that_is_not_there_is_made():
    with duckdb.connect() as connection:
        load(connection, {"spec_stacks": [{}]})
        connection.execute("drop view survival")
        assert not has_views(connection)
        create_views(connection)
        assert has_views(connection)


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


@pytest.mark.parametrize("command", [["check"], ["sql", "from specs"], ["report"], ["diff", "a", "b"]], ids=" ".join)
def test_a_warehouse_of_another_version_is_refused_with_what_to_do(tmp_path, command):
    warehouse = build_pages(tmp_path, {("develop", "hdf5"): [make_spec(1)]})
    with duckdb.connect(str(Layout(warehouse).database.resolve())) as connection:
        connection.execute("drop macro table hash_diff")
    result = CliRunner().invoke(cli, [*command, "--warehouse", str(warehouse)])

    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "was built by another version, and has no hash_diff; build it anew with:" in result.output


def test_the_long_table_is_that_of_its_parquet_and_specs_what_it_brings_together(tmp_path):
    """How the file stores specs shows in no answer: of pages, of indexes, and of both for one snapshot."""
    mirror = Path(__file__).parent / "data" / "caches" / "spack-1.1"
    for stack in ("e4s", "hep"):
        shutil.copytree(mirror, tmp_path / "caches" / "develop-2025-06-01" / stack)
    pages = {("spack-1.1", "zlib"): [make_spec(1, stacks=["root", "hep", "e4s"]), make_spec(2, stacks=["root"])]}
    source = write_pages(tmp_path / "source", {**pages, ("develop", "zlib"): [make_spec(1, size="7", tarball="u")]})
    build([source, tmp_path / "caches"], tmp_path / "warehouse", jobs=1)
    database = Layout(tmp_path / "warehouse").database.resolve()
    names = ", ".join(map(quote_name, SPEC_STACKS.names))
    with duckdb.connect(str(database), read_only=True) as connection:
        files = quote_text(f"{tmp_path}/warehouse/spec_stacks/*/*.parquet")
        long = f"select {names} from read_parquet({files}, hive_partitioning = true)"
        both = [(long, f"select {names} from spec_stacks")]
        together = (
            next(view for view in list_views() if view.name == "specs").render().partition(" as\n")[2].rstrip(";\n")
        )
        both.append((together, "select * from specs"))
        for one, other in (pair for two in both for pair in (two, two[::-1])):
            assert connection.execute(f"({one}) except all ({other})").fetchall() == []
        kept = connection.execute("select count(*), count(distinct places is null) from stored_specs").fetchone()
        assert kept[0] > 10
        assert kept[1] == 2, "of pages places say the same, of an index each has its own source"
