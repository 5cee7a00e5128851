"""The catalogue, attached by https from another DuckDB: the answers of the warehouse, for few requests and bytes."""

import json

import duckdb
import pytest

from pipeline.build import build
from pipeline.catalog.promise import list_tables
from pipeline.catalog.publish import Wish, publish_data
from pipeline.layout import Layout
from pipeline.store.sqlfiles import describe_macros, describe_views
from tests.commands import NEWER, run_other
from tests.makers import make_spec, write_pages
from tests.servers import serve_ranges
from tests.sites import FIRST, SECOND, write_site_sources
from tests.test_database import OLDEST

ODD = "o'dd snapshot/é%20"
VIEWS = [*list_tables(), *(view.name for view in describe_views() if view.name != "specs")]
ARGUMENTS = {"usable_on": ["zen4"], "stack_diff": [FIRST, "e4s", SECOND, "e4s"]}
CALLS = [
    f"{macro.name}({', '.join(map(repr, ARGUMENTS.get(macro.name, [FIRST, SECOND])))})" for macro in describe_macros()
]
COMPARE = """
import duckdb, duckdb_extension_httpfs, json, pathlib, sys
catalog, warehouse, queries = json.loads(sys.stdin.read())
folder = pathlib.Path(duckdb_extension_httpfs.__file__).parent
(extension,) = folder.rglob(f"v{duckdb.__version__}/httpfs.duckdb_extension")
connection = duckdb.connect()
connection.execute(f"load '{extension}'")
for setting in ("enable_http_metadata_cache = true", "enable_progress_bar = false"):
    connection.execute(f"set {setting}")
connection.execute(f"attach '{catalog}' as remote (read_only)")
connection.execute(f"attach '{warehouse}' as local (read_only)")
answer = {}
for query in queries:
    for side in ("remote", "local"):
        connection.execute(f"use {side}")
        connection.execute(f"create or replace temp table {side}_rows as from {query}")
    ways = ("from remote_rows except all from local_rows", "from local_rows except all from remote_rows")
    differ = [connection.execute(f"select count(*) from ({way})").fetchone()[0] for way in ways]
    answer[query] = [*differ, connection.execute("select count(*) from local_rows").fetchone()[0]]
print(json.dumps({"version": duckdb.__version__, "counts": answer}))
"""
ASK = """
import duckdb, duckdb_extension_httpfs, json, pathlib, sys
catalog, queries = json.loads(sys.stdin.read())
folder = pathlib.Path(duckdb_extension_httpfs.__file__).parent
(extension,) = folder.rglob(f"v{duckdb.__version__}/httpfs.duckdb_extension")
connection = duckdb.connect()
connection.execute(f"load '{extension}'")
connection.execute(f"attach '{catalog}' as remote (read_only)")
connection.execute("use remote")
print(json.dumps([connection.execute(query).fetchall() for query in queries], default=str))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A warehouse, and the server of what it publishes."""
    folder = tmp_path_factory.mktemp("published")
    pages = write_pages(folder / "pages", {(ODD, "hdf5"): [make_spec(90), make_spec(91, hash="bad")]})
    source = write_site_sources(folder / "source", without=("develop", "v0.23.1", "package"))
    build([source, pages], folder / "warehouse", jobs=1)
    (folder / "out").mkdir()
    with serve_ranges(folder / "out") as traffic:
        publish_data(Layout(folder / "warehouse"), folder / "out", Wish(base_url=traffic.url))
        yield folder / "warehouse", folder / "out", traffic


QUICK = [
    *list_tables(),
    *("snapshots", "summary_by_stack", "matrix_by_compiler", "coverage_by_target", "loss_heads", "usable_on('zen4')"),
]
"""What the oldest DuckDB answers soon: of all else it works out steps as often as they are read, each by requests."""


@pytest.mark.parametrize(
    ("place", "series", "queries"),
    [
        pytest.param(NEWER, "1.5.", [*VIEWS, *CALLS], id="newer"),
        pytest.param(OLDEST, "1.2.", QUICK, id="oldest"),
        pytest.param(
            OLDEST,
            "1.2.",
            [one for one in (*VIEWS, *CALLS) if one not in QUICK and not one.startswith("loss_heads_between(")],
            id="oldest, all else",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_another_duckdb_attaches_it_and_gives_the_same_answers(published, tmp_path, place, series, queries):
    warehouse, _, traffic = published
    assert (place / "duckdb_extension_httpfs").is_dir(), f"httpfs is not in {place}: `make test` installs it"
    given = json.dumps([f"{traffic.url}/catalog.duckdb", str(warehouse / "warehouse.duckdb"), queries])
    answer = json.loads(run_other(COMPARE, place, given, tmp_path))

    assert answer["version"].startswith(series)
    assert {query: counts[:2] for query, counts in answer["counts"].items()} == {query: [0, 0] for query in queries}
    empty = {query.partition("(")[0] for query, counts in answer["counts"].items() if not counts[2]}
    assert empty <= EMPTY


EMPTY = {
    "missing_dependencies",
    "external_dependencies",
    "records",
    "tags",
    "absences",
    "root_only_specs",
    "summary_by_missing",
    "loss_heads_between",
}
"""What has no row to compare here."""


def test_a_question_about_one_package_reads_little(published, tmp_path):
    """Of few rows the catalogue itself is the most; the test of row groups counts what many cost."""
    _, _, traffic = published
    query = f"select * from spec_stacks where snapshot = '{FIRST}' and package = 'hdf5'"
    before = traffic.requests, traffic.bytes
    given = json.dumps([f"{traffic.url}/catalog.duckdb", [query]])
    rows = json.loads(run_other(ASK, NEWER, given, tmp_path))

    assert len(rows[0]) == 2
    assert traffic.requests - before[0] < 20
    assert traffic.bytes - before[1] < 1_000_000


def test_it_holds_no_row_and_fetches_nothing_while_it_is_written(published):
    _, out, _ = published
    with duckdb.connect(str(out / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from duckdb_tables()").fetchall() == [(0,)]
        comments = connection.execute("select count(*) from duckdb_views() where not internal and comment is null")
        assert comments.fetchall() == [(0,)]


def test_an_address_where_nothing_answers_will_do(sample, tmp_path):
    publish_data(Layout(sample), tmp_path / "out", Wish(base_url="https://data.example.org/a=b"))

    with duckdb.connect(str(tmp_path / "out" / "catalog.duckdb"), read_only=True) as connection:
        (sql,) = connection.execute("select sql from duckdb_views() where view_name = 'specs'").fetchone()
    assert "https://data.example.org/a=b/data/specs/part=" in sql
