"""Every view and check can be carried from DuckDB's dialect to Spark SQL, and means the same there."""

import duckdb
import pytest
import sqlglot
import yaml
from sqlglot import exp

from pipeline.schema import COMPUTED_TABLES, DERIVED_TABLES, TABLES
from pipeline.store.checks import run_check
from pipeline.store.database import quote_text, render
from pipeline.store.dialects import Asked, carry, find_asked
from pipeline.store.sqlfiles import find_views, list_checks, list_macros, list_views
from tests.commands import run
from tests.test_checks import GOOD, OFFENCES
from tests.test_sql_cases import CASES, call, load

# What test_spark_itself_answers_as_duckdb_does has seen Spark 4.3 do as DuckDB does. sqlglot carries more than
# it can, without a word: len of a list becomes length, which Spark has for texts alone.
KNOWN_TO_SPARK = {
    *(
        "And",
        "AnyValue",
        "ArgMax",
        "Array",
        "ArrayAgg",
        "ArrayDistinct",
        "ArraySize",
        "ArraySort",
        "Case",
        "Coalesce",
        "Concat",
    ),
    # Spark digests otherwise, and compares its own digests as well.
    "HASH",
    *(
        "Count",
        "Explode",
        "If",
        "JSONFormat",
        "LogicalOr",
        "MAP_ENTRIES",
        "MapFromEntries",
        "Max",
        "Min",
        "Or",
        "RegexpLike",
    ),
    *("RegexpSplit", "RowNumber", "Struct", "Substring", "Sum", "TryCast"),
    # TsOrDsToDate is what sqlglot puts around the dates of a date_diff that it reads.
    *("ArrayContains", "DateDiff", "DenseRank", "Exists", "GenerateSeries", "Lag", "Lead", "Replace", "TsOrDsToDate"),
}


def ask_with(query, arguments=None):
    """A query; a macro with arguments in place, since Spark's functions are made otherwise."""
    names = [one.name for one in query.parameters]
    if not names:
        return Asked(query)
    if not isinstance(arguments, dict):
        arguments = dict(zip(names, arguments or ["zen4"] * len(names), strict=False))
    given = {name: quote_text(value) for name, value in arguments.items()}
    return Asked(query, {name: given.get(name, "null") for name in names})


def render_any(connection, query):
    arguments = ask_with(query).arguments
    return query.render(arguments=arguments) if arguments else render(connection, query)


def carry_to_spark(connection, query, arguments=None):
    return carry(connection, ask_with(query, arguments), "spark")


def name_function(function):
    return function.name if isinstance(function, exp.Anonymous) else type(function).__name__


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as made:
        load(made, {"spec_stacks": [{}, {"stack": "it's"}]})
        yield made


MACROS = {query.name: query for query in list_macros()}
each_query = pytest.mark.parametrize(
    "query", [*list_views(), *MACROS.values(), *list_checks()], ids=lambda query: query.name
)


@each_query
def test_it_is_carried_to_spark(connection, query):
    assert sqlglot.parse_one(carry_to_spark(connection, query), read="spark")


@each_query
def test_it_uses_nothing_that_spark_lacks(connection, query):
    tree = sqlglot.parse_one(render_any(connection, query), read="duckdb")

    assert not list(tree.find_all(exp.Lambda, exp.Comprehension, exp.Qualify))
    assert not [join for join in tree.find_all(exp.Join) if join.method.upper() in ("POSITIONAL", "ASOF")]


@each_query
def test_its_functions_are_known_to_mean_the_same_in_spark(connection, query):
    tree = sqlglot.parse_one(carry_to_spark(connection, query), read="spark")

    assert {name_function(function) for function in tree.find_all(exp.Func)} - KNOWN_TO_SPARK == set()


@each_query
def test_no_select_unnests_two_lists(connection, query):
    # DuckDB walks through both at once; Spark refuses, or gives every pair of them.
    tree = sqlglot.parse_one(carry_to_spark(connection, query), read="spark")

    for select in tree.find_all(exp.Select):
        assert sum(len(list(column.find_all(exp.Explode))) for column in select.expressions) <= 1


def test_the_command_prints_all_that_is_carried(sample):
    done = run("sql", "--dialect", "spark", "--warehouse", sample)

    assert (done.returncode, done.stderr) == (0, "")
    statements = [one for one in sqlglot.parse(done.stdout, read="spark") if one is not None]
    assert len(statements) == len([*list_views(), *list_macros(), *list_checks()])


def test_the_command_prints_what_is_named_after_the_views_that_it_reads(sample):
    done = run("sql", "--dialect", "trino", "usable_on('zen4', host_libc := '2.35')", "gaps", "--warehouse", sample)

    assert (done.returncode, done.stderr) == (0, "")
    made = [line.split(": ")[0] for line in done.stdout.splitlines() if line.startswith("-- ")]
    assert made == [f"-- {one.query.name}" for one in find_asked(["gaps", "usable_on('zen4')"])]
    assert "CREATE OR REPLACE VIEW gaps" in done.stdout
    assert "'2.35'" in done.stdout


def test_what_an_engine_has_no_words_for_is_named(sample):
    done = run("sql", "--dialect", "trino", "--warehouse", sample)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines
    for line in lines:
        name = line.split(": ")[0]
        assert "sqlglot does not carry it to trino" in line
        assert f"-- {name}:" not in done.stdout
        assert run("sql", "--dialect", "trino", name, "--warehouse", sample).returncode == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("coverage", "there is no view, macro or check of this name"),
        ("lost('develop')", "without to_snapshot"),
        ("usable_on(cpu := 'zen4')", "its parameters are: host_target"),
        ("gaps('a')", "its parameters are: none"),
        ("a b c; drop", "is not a name, nor a macro"),
        ("'", "is not a name, nor a macro"),
        ("select 1", "there is no view, macro or check"),
        ("", "is not a name, nor a macro"),
    ],
)
def test_a_name_that_is_none_is_one_line(sample, text, words):
    done = run("sql", "--dialect", "spark", text, "--warehouse", sample)

    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def spark():
    """A cluster of two executors, each a process of its own, on this machine."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        pytest.fail("Spark is not installed here: make test-spark installs and runs it")
    options = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.ui.enabled": "false",
    }
    session = SparkSession.builder.master("local-cluster[2,1,1024]").config(map=options).getOrCreate()
    yield session
    session.stop()


def lend(connection, spark, folder, queries, table=""):
    """Give Spark the tables that ``queries`` stand on, and ``table``, as files that both executors read.

    The views behind the queries, and those that are views themselves, are made of them by their own SQL.
    """
    behind = find_views(queries)
    views = [view for view in list_views() if view in behind or view in queries]
    used = {table}.union(*(query.find_names() for query in [*queries, *views]))
    folder.mkdir(parents=True)
    for name in (one.name for one in (*TABLES, *COMPUTED_TABLES, *DERIVED_TABLES)):
        if name in used:
            connection.execute(f"copy {name} to '{folder}/{name}.parquet' (format parquet)")
            spark.read.parquet(f"{folder}/{name}.parquet").createOrReplaceTempView(name)
    for view in views:
        spark.sql(carry_to_spark(connection, view))


def order(rows):
    return sorted((list(row) for row in rows), key=repr)


VIEWS = {query.name: query for query in list_views()}
SLOW_WITHOUT_STEPS = ("loss_heads_between",)
"""Spark, as old DuckDBs, works out a step anew wherever it is read: of this macro, of many steps, hundreds of times."""


@pytest.mark.spark
@pytest.mark.parametrize(
    "path",
    [path for path in CASES if path.parent.name not in SLOW_WITHOUT_STEPS],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_spark_itself_answers_as_duckdb_does(spark, tmp_path, path):
    case, name = yaml.safe_load(path.read_text()), path.parent.name
    with duckdb.connect() as connection:
        load(connection, case["given"])
        query = {**VIEWS, **MACROS}.get(name)
        lend(connection, spark, tmp_path / "tables", [query] if query else [], name)
        for arguments in [expected.get("arguments") for expected in case["expect"]]:
            answer = connection.execute(f"from {call(name, arguments)}").fetchall()
            if name in MACROS:
                found = spark.sql(carry_to_spark(connection, MACROS[name], arguments)).collect()
            else:
                found = spark.table(name).collect()
            assert order(found) == order(answer)


@pytest.mark.spark
def test_spark_itself_finds_what_the_checks_find(spark, tmp_path):
    # no_nulls has rows that no matrix can have a column for: those of empty names.
    steps = [step for name in OFFENCES if name != "no_nulls" for steps, _ in OFFENCES[name] for step in steps]
    added = [GOOD, *(step for step in steps if not isinstance(step, str))]
    with duckdb.connect() as connection:
        tables = (*TABLES, *COMPUTED_TABLES)
        load(connection, {table.name: [row for rows in added for row in rows.get(table.name, [])] for table in tables})
        lend(connection, spark, tmp_path / "tables", list_checks())
        # What breaks a law is stored otherwise by the DuckDB file: here both engines follow the SQL for all.
        connection.execute(render_any(connection, VIEWS["specs"]).replace("create view", "create or replace view", 1))
        found = {query.name: spark.sql(carry_to_spark(connection, query)).count() for query in list_checks()}

        assert found == {query.name: run_check(connection, query).offenders for query in list_checks()}
        assert sum(map(bool, found.values())) >= 8
