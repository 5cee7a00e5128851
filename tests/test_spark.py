"""Every view and check can be carried from DuckDB's dialect to Spark SQL."""

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from pipeline import sqlfiles
from pipeline.warehouse import render
from tests.test_sql_cases import load


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as made:
        load(made, {"spec_stacks": [{}, {"stack": "it's"}]})
        yield made


@pytest.mark.parametrize("file", sqlfiles.all_files(), ids=lambda file: file.stem)
def test_it_is_carried_to_spark(connection, file):
    query = render(connection, file)
    (carried,) = sqlglot.transpile(query, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)

    assert sqlglot.parse_one(carried, read="spark")


@pytest.mark.parametrize("file", sqlfiles.all_files(), ids=lambda file: file.stem)
def test_it_uses_nothing_that_spark_lacks(connection, file):
    tree = sqlglot.parse_one(render(connection, file), read="duckdb")

    assert not list(tree.find_all(exp.Lambda, exp.Comprehension, exp.Qualify))
    assert not [join for join in tree.find_all(exp.Join) if join.method.upper() in ("POSITIONAL", "ASOF")]
