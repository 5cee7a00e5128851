"""Every view and check can be carried from DuckDB's dialect to Spark SQL, and means the same there."""

import subprocess
import sys

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from pipeline.schema import COMPUTED_TABLES, DERIVED_TABLES, TABLES
from pipeline.store.database import quote_text, render
from pipeline.store.dialects import DIALECTS, Asked, carry, find_asked
from pipeline.store.sqlfiles import list_checks, list_macros, list_views
from tests.commands import run
from tests.test_sql_cases import load

# What tests/test_spark_answers.py has seen Spark 4.3 do as DuckDB does. sqlglot carries more than Spark can, without
# a word: len of a list becomes length, which Spark has for texts alone.
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
    *("DateDiff", "DenseRank", "Exists", "Flatten", "GenerateSeries", "Lag", "Lead", "Replace", "TsOrDsToDate"),
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


def carry_to(dialect, connection, query):
    """The trees of its statements as ``dialect`` reads them."""
    return [sqlglot.parse_one(text, read=dialect) for text in carry(connection, ask_with(query), dialect)]


def find_functions(trees):
    return {name_function(function) for tree in trees for function in tree.find_all(exp.Func)}


def name_function(function):
    return function.name if isinstance(function, exp.Anonymous) else type(function).__name__


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as made:
        load(made, {"spec_stacks": [{}, {"stack": "it's"}]})
        yield made


VIEWS = {query.name: query for query in list_views()}
MACROS = {query.name: query for query in list_macros()}
QUERIES = [*VIEWS.values(), *MACROS.values(), *list_checks()]
STORED = [one.name for one in (*TABLES, *COMPUTED_TABLES, *DERIVED_TABLES)]
each_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)


@each_query
@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_carried(connection, query, dialect):
    assert carry_to(dialect, connection, query)


@each_query
def test_it_uses_nothing_that_spark_lacks(connection, query):
    tree = sqlglot.parse_one(render_any(connection, query), read="duckdb")

    assert not list(tree.find_all(exp.Lambda, exp.Comprehension, exp.Qualify))
    assert not [join for join in tree.find_all(exp.Join) if join.method.upper() in ("POSITIONAL", "ASOF")]


def test_the_functions_are_those_known_to_mean_the_same_in_spark(connection):
    # Each is used somewhere, so that Spark was asked of it.
    assert {
        name for query in QUERIES for name in find_functions(carry_to("spark", connection, query))
    } == KNOWN_TO_SPARK


@each_query
def test_no_select_unnests_two_lists(connection, query):
    # DuckDB walks through both at once; Spark refuses, or gives every pair of them.
    for tree in carry_to("spark", connection, query):
        for select in tree.find_all(exp.Select):
            assert sum(len(list(column.find_all(exp.Explode))) for column in select.expressions) <= 1


def test_steps_that_spark_would_work_out_hundreds_of_times_are_tables(connection):
    *made, asked = carry_to("spark", connection, MACROS["loss_heads_between"])

    assert {type(tree) for tree in made} == {exp.Drop, exp.Create}
    tables = [tree.this.name for tree in made if isinstance(tree, exp.Create)]
    assert "loss_heads_between__before" in tables
    assert (
        [tree.find(exp.Table).name for tree in made if isinstance(tree, exp.Drop)]
        == tables
        == list(dict.fromkeys(tables))
    )
    # Each is made before it is read, and what is no table of these is a step of its own statement, or the warehouse's.
    known = {*VIEWS, *STORED}
    for tree in [*made, asked]:
        if not isinstance(tree, exp.Drop):
            steps = {step.alias for step in tree.find_all(exp.CTE)}
            read = {table.name for table in (tree.find(exp.Select) or tree).find_all(exp.Table)}
            assert read <= known | steps | ({tree.this.name} if isinstance(tree, exp.Create) else set())
        if isinstance(tree, exp.Create):
            known.add(tree.this.name)


def test_what_a_map_does_not_have_is_null_in_trino(connection):
    (made,) = carry(connection, Asked(VIEWS["matrix_by_stack"]), "trino")

    assert "COALESCE(ELEMENT_AT(cells, 'e4s'), 0)" in made
    assert "AS ROW(key VARCHAR, value BIGINT)" in made


def test_the_command_prints_what_is_named_after_the_views_that_it_reads(sample):
    done = run("sql", "--dialect", "trino", "usable_on('zen4', host_libc := '2.35')", "gaps", "--warehouse", sample)

    assert (done.returncode, done.stderr) == (0, "")
    made = [line.split(": ")[0] for line in done.stdout.splitlines() if line.startswith("-- ")]
    assert made == [f"-- {one.query.name}" for one in find_asked(["gaps", "usable_on('zen4')"])]
    assert "CREATE OR REPLACE VIEW gaps" in done.stdout
    assert "'2.35'" in done.stdout


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_command_prints_all(dialect, sample, connection):
    done = run("sql", "--dialect", dialect, "--warehouse", sample)

    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(": ")[0] for line in done.stdout.splitlines() if line.startswith("-- ")] == [
        f"-- {query.name}" for query in QUERIES
    ]
    statements = [one for one in sqlglot.parse(done.stdout, read=dialect) if one is not None]
    assert len(statements) == sum(len(carry(connection, Asked(query), dialect)) for query in QUERIES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("coverge_by_stack", "no view, macro or check 'coverge_by_stack'; did you mean coverage_by_stack"),
        ("usable_n('zen4')", "no view, macro or check 'usable_n'; did you mean usable_on?"),
        ("page_is_unqiue", "did you mean page_is_unique or "),
        ("zzzz", "no view, macro or check 'zzzz'; there are: calendar, specs, "),
        ("lost('develop')", "without to_snapshot"),
        ("usable_on(cpu := 'zen4')", "its parameters are: host_target"),
        ("gaps('a')", "its parameters are: none"),
        ("a b c; drop", "is not a name, nor a macro"),
        ("'", "is not a name, nor a macro"),
        ("select 1", "is not a name, nor a macro"),
        ("gaps, specs", "'gaps, specs' is not a name, nor a macro"),
        ("gaps; specs", "is not a name, nor a macro"),
        ("usable_on('zen4') limit 1", "is not a name, nor a macro"),
        ("other.gaps", "is not a name, nor a macro"),
        ("unnest([1])", "no view, macro or check 'unnest([1])'"),
        ("", "is not a name, nor a macro"),
    ],
)
def test_a_name_that_is_none_is_one_line_of_wrong_usage(sample, text, words):
    done = run("sql", "--dialect", "trino", text, "--warehouse", sample)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_an_engine_has_no_words_for_is_one_line(sample):
    done = run("sql", "--dialect", "trino", "usable_on({'a': made_up(1)})", "--warehouse", sample)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "sqlglot does not carry it to trino" in done.stderr


@pytest.mark.parametrize(("arguments", "loaded"), [(["from snapshots"], False), (["--dialect", "spark", "gaps"], True)])
def test_sqlglot_is_loaded_where_another_engine_is_asked_for_alone(sample, arguments, loaded):
    main = (
        "import sys\nfrom pipeline.cli import main\n"
        "try: main()\nfinally: print('sqlglot' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", main, "sql", "--warehouse", str(sample), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stderr == f"{loaded}\n"
