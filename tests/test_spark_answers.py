"""Spark itself answers every view, macro and check as DuckDB does, of data that has every awkward row of the SQL cases.

Its data are the rows of all cases of tests/sql_cases at once, each case with packages, stacks and hashes of its own.
A view is asked of what DuckDB gave for the views that it reads, so that one that differs is one failure.
"""

import importlib.util
import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
import yaml

from pipeline.build import build
from pipeline.layout import PARQUET_FOLDERS, Layout
from pipeline.schema import ROOT, TABLES
from pipeline.spack.hosts import STACK_LINEAGE
from pipeline.store.database import connect
from pipeline.store.dialects import Asked, carry
from pipeline.store.sqlfiles import describe_macros, find_views, list_checks
from tests import sparkrun
from tests.makers import SAMPLE, make_spec, write_pages
from tests.sparkrun import Question
from tests.test_checks import GOOD, OFFENCES, commit
from tests.test_spark import MACROS, STORED, VIEWS, ask_with, render_any
from tests.test_sql_cases import CASES, DEFAULTS, call, load

CACHES = sorted((Path(__file__).parent / "data/caches").iterdir())
CHECKS = {query.name: query for query in list_checks()}
NAMED = ("package", "path", "source", "stack")
HASHED = ("hash", "dependency_hash", "missing_hash", "spliced_from")
SHARED = {ROOT, *(stack for row in STACK_LINEAGE for stack in row[:2])}
"""Stacks whose names mean something."""
DEEPEST = ("coverage_trend", "loss_heads")
"""Views that stand on most of the others: they are asked once as Spark is given them, each on the others."""

UNDONE = ("missing_are_accounted_for",)
"""Checks whose offences make one another good."""


def set_apart(number, name):
    """A name of the case ``number`` that no other case has."""
    return name if name in SHARED else f"c{number}_{name}"


def set_row_apart(number, table, row):
    """A row of the case ``number``, by names that no other case has."""
    whole = {**DEFAULTS[table], **row}
    named = {column: set_apart(number, whole[column]) for column in NAMED if whole.get(column)}
    return {**row, **named, **{column: f"{number}{whole[column]}" for column in HASHED if whole.get(column)}}


def merge_cases():
    """The rows of every case, by table."""
    given = {}
    for number, path in enumerate(CASES):
        for table, rows in yaml.safe_load(path.read_text())["given"].items():
            given.setdefault(table, []).extend(set_row_apart(number, table, row) for row in rows)
    return given


def list_calls():
    """Every call of a macro in the cases, by its text, with the arguments; and one that no case has."""
    long = {"host_target": "zen4", "host_libc": "99999999999999999999.1"}
    calls = [("usable_on", long)]
    for number, path in enumerate(CASES):
        name = path.parent.name
        for expected in yaml.safe_load(path.read_text())["expect"] if name in MACROS else []:
            arguments = expected["arguments"]
            if name == "stack_diff":
                arguments = [set_apart(number, one) if at % 2 else one for at, one in enumerate(arguments)]
            calls.append((name, arguments))
    return {call(*one): one for one in calls}


CALLS = list_calls()
(LOST,) = (macro for macro in describe_macros() if macro.name == "lost")


def write(connection, folder, names):
    """Parquet files of tables and views, for Spark."""
    folder.mkdir()
    for name in names:
        connection.execute(f"copy (from {name}) to '{folder}/{name}.parquet' (format parquet)")
    return {name: f"{folder}/{name}.parquet" for name in names}


def read_by(tables, query):
    return {name: path for name, path in tables.items() if name in query.find_names()}


def ask_cases(connection, folder):
    """Questions of every view and macro; their answers by DuckDB are in the tables, and in ``connection``."""
    load(connection, merge_cases())
    tables = write(connection, folder / "cases", [*STORED, *VIEWS])
    for view in VIEWS.values():
        made = carry(connection, Asked(view), "spark")
        yield Question(view.name, read_by(tables, view), [*made, f"select * from {view.name}"])
    for text, (name, arguments) in CALLS.items():
        asked = ask_with(MACROS[name], arguments)
        yield Question(text, read_by(tables, MACROS[name]), carry(connection, asked, "spark"))


def offend(connection, check):
    """Rows that a check objects to: all that rows alone can do, or else the first of its damages."""
    load(connection, GOOD)
    # What breaks a law is stored otherwise by the DuckDB file: here both engines follow the SQL for all.
    connection.execute(render_any(connection, VIEWS["specs"]).replace("create view", "create or replace view", 1))
    offences = [steps for steps, _ in OFFENCES[check.name]]
    of_rows = [steps for steps in offences if not any(isinstance(step, str) for step in steps)]
    for steps in offences[:1] if check.name in UNDONE else of_rows or offences[:1]:
        commit(connection, steps)


def ask_offences(folder):
    """Questions of every check, each of rows that it objects to; and what DuckDB finds."""
    for check in CHECKS.values():
        with duckdb.connect() as connection:
            offend(connection, check)
            names = [name for name in (*STORED, *VIEWS) if name in check.find_names()]
            tables = write(connection, folder / check.name, names)
            found = answer(connection, render_any(connection, check))
            yield Question(f"check {check.name}", tables, carry(connection, Asked(check), "spark")), found


def ask_warehouse(connection, folder, warehouse):
    """Questions of a built warehouse: its Parquet folders as they are, and views that stand on one another."""
    tables = write(connection, folder / "warehouse", [name for name in STORED if name not in PARQUET_FOLDERS])
    tables |= {name: f"{warehouse}/{name}" for name in PARQUET_FOLDERS}
    for table in TABLES:
        columns = ", ".join(one.name for one in table.columns)
        yield Question(
            f"warehouse {table.name}", {table.name: tables[table.name]}, [f"select {columns} from {table.name}"]
        )
    deepest = [VIEWS[name] for name in DEEPEST]
    made = [one for view in (*find_views(deepest), *deepest) for one in carry(connection, Asked(view), "spark")]
    for name in DEEPEST:
        yield Question(f"warehouse {name}", tables, [*made, f"select * from {name}"])
        made = []


class Compared(NamedTuple):
    """By name of a question Spark's answer, and DuckDB's columns and rows; and how asking Spark went."""

    answers: dict
    expected: dict
    how: sparkrun.Asked


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Skips where Spark cannot run on this machine; fails where Java and PySpark are required, and one is not there."""
    has_pyspark = importlib.util.find_spec("pyspark") is not None
    if fault := sparkrun.find_fault() or ("" if has_pyspark else "no PySpark; make test-spark installs it"):
        installed = has_pyspark and shutil.which("java")
        pytest.fail(fault) if os.environ.get("JAVA_REQUIRED") and not installed else pytest.skip(fault)
    folder = tmp_path_factory.mktemp("spark")
    built = folder / "built"
    named = write_pages(folder / "named", {("V1.0 %x.", "hdf5"): [make_spec(1)]})
    build([SAMPLE, *CACHES, named], built, jobs=1)
    with duckdb.connect() as cases, connect(Layout(built).database.resolve(), str(folder)) as warehouse:
        of_cases = list(ask_cases(cases, folder))
        of_warehouse = list(ask_warehouse(warehouse, folder, built))
        expected = {one.name: answer(cases, f"from {one.name}") for one in of_cases}
        expected |= {one.name: answer(warehouse, one.name.replace("warehouse", "from", 1)) for one in of_warehouse}
    offences = list(ask_offences(folder))
    expected |= {question.name: found for question, found in offences}
    how = sparkrun.ask_spark(folder, [*of_warehouse, *of_cases, *(question for question, _ in offences)])
    return Compared({answer.name: answer for answer in sparkrun.read_answers(folder)}, expected, how)


def answer(connection, query):
    """The columns and rows of a query, by DuckDB."""
    found = connection.execute(query)
    return [column[0] for column in found.description], found.fetchall()


def plain(cell):
    """A cell by its value, whatever the type that an engine gives to a number."""
    if isinstance(cell, float | Decimal) and cell == int(cell):
        return int(cell)
    return cell


def order(rows):
    return sorted(([plain(cell) for cell in row] for row in rows), key=repr)


def compare(compared, name, record_property):
    """DuckDB's rows, which have to be Spark's as well: all of them, each as often, whatever their order."""
    if name not in compared.answers:
        pytest.skip(compared.how.reason)
    answer = compared.answers[name]
    columns, rows = compared.expected[name]
    # For tests/sparktable.py.
    record_property("question", name)
    record_property("rows", len(rows))
    record_property("seconds", answer.seconds)
    assert answer.error == ""
    assert answer.columns == columns
    assert order(answer.rows) == order(rows)
    return rows


@pytest.mark.spark
def test_two_executors_answered(compared):
    if not compared.answers or compared.how.executors < 2:
        pytest.skip(compared.how.reason or "Spark's executors do not start here: two threads answered")
    assert compared.how.executors == 2


@pytest.mark.spark
@pytest.mark.parametrize("name", [*VIEWS, *CALLS])
def test_spark_answers_as_duckdb_does(compared, name, record_property):
    rows = compare(compared, name, record_property)

    if name in VIEWS:
        assert rows


@pytest.mark.spark
@pytest.mark.parametrize("name", CHECKS)
def test_spark_finds_the_offenders_that_duckdb_finds(compared, name, record_property):
    assert compare(compared, f"check {name}", record_property)


@pytest.mark.spark
@pytest.mark.parametrize("name", [*(table.name for table in TABLES), *DEEPEST])
def test_spark_reads_a_warehouse_as_it_is(compared, name, record_property):
    compare(compared, f"warehouse {name}", record_property)


def test_the_cases_together_have_every_cause_of_a_loss_and_rows_for_each_macro():
    with duckdb.connect() as connection:
        load(connection, merge_cases())
        causes = {cause for (cause,) in connection.execute("select distinct cause from lost('a', 'b')").fetchall()}
        filled = {name for text, (name, _) in CALLS.items() if connection.execute(f"from {text}").fetchone()}

    (said,) = (column.description for column in LOST.columns if column.name == "cause")
    assert all(cause in said for cause in causes)
    assert len(causes) == 13
    assert filled == set(MACROS)
