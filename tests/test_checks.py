"""Every check passes on good data, and each thing that it says is tested by data that it must object to."""

import shutil

import duckdb
import pytest

from pipeline.layout import Layout
from pipeline.schema import AXES, SPEC_STACKS
from pipeline.store.checks import SHOWN, check_attached, run_check, run_checks
from pipeline.store.database import create_tables, create_views
from pipeline.store.sqlfiles import list_checks
from tests.makers import build_pages, make_spec
from tests.test_sql_cases import insert, load

GOOD = {
    "spec_stacks": [{"stack": "e4s"}, {"stack": "root"}, {"hash": "h2", "package": "zlib", "source": "zlib"}],
    "pages": [{}, {"package": "zlib", "path": "zlib"}],
    "rejects": [],
}

# Another value of each column than the rows of GOOD have.
OTHER = {
    "variants": ["+mpi"],
    "size_bytes": 7,
    "compiler_version": None,
    "compilers": {"c": "gcc@9"},
    "patches": ["f00"],
    "compiler_flags": {"cflags": "-g"},
    "external": True,
    "libc_known": True,
}
NAMED = [column.name for column in SPEC_STACKS.columns if column.type == "VARCHAR" and not column.nullable]
FILLED = [column.name for column in SPEC_STACKS.columns if not column.nullable]
DESCRIBING = [name for name in SPEC_STACKS.names if name not in ("snapshot", "hash", "stack", "source", "installable")]

OF_PAGE = {"snapshot": "develop", "package": "hdf5"}
PAGE = {"package": "p", "path": "p"}
OF_INDEX = {"snapshot": "develop", "package": None, "stack": "hep"}
INDEX = {**OF_INDEX, "path": "i", "specs": 0, "records": 6, "externals": 1, "holes": 2, "repeated": 3}
OF_RECORDS = {**OF_INDEX, "path": "i", "specs": 0, "records": 2, "externals": 1, "holes": 1, "repeated": 0}
HOLE = {"hash": "h8", "kind": "hole"}
MORE = {"spec_stacks": [{"hash": "h9"}]}
NEW = {"spec_stacks": [{"hash": "h9", "package": "p"}]}
# One value more of each axis than a matrix has columns for, that with the fewest specs.
MANY = """
    insert into stored_specs by name
    select * exclude (i)
    replace ('m' || i as hash, ['s' || i // 2] as stacks, 'c' || i // 2 as compiler, 't' || i // 2 as target)
    from stored_specs
    cross join range(999) as numbers (i)
    where hash = 'h2'
"""
LESS = "delete from stored_specs where hash = 'h9'"


def freeze(view):
    """The statements that keep what a view gives now, whatever changes under it."""
    return f"create table kept as from {view}; create or replace view {view} as from kept"


def blank(column):
    """The statements that leave a column of the good rows without values."""
    if column == "stack":
        return "update stored_specs set stacks = [null]"
    return f"alter table stored_specs alter {column} drop not null; update stored_specs set {column} = null"


def fake_summary(axis, packages=1, total=2, coverage="0.5", specs=1):
    """The statement that puts one row in place of a summary's."""
    return (
        f"create or replace view summary_by_{axis} as select 'develop' as snapshot, 'x' as {axis}, "
        f"{packages} as packages, {total} as packages_total, cast({coverage} as double) as coverage, {specs} as specs"
    )


# What each check objects to, and a part of the row that it shows then. An offence is done in steps:
# rows added to the good ones, or statements that damage them.
OFFENCES = {
    "key_is_unique": [([{"spec_stacks": [{"stack": "e4s"}]}], {"hash": "h1", "stack": "e4s", "num_rows": 2})],
    "hash_is_one_spec": [
        ([{"spec_stacks": [{"stack": "hep", name: OTHER.get(name, "other")}]}], {"hash": "h1", "num_rows": 2})
        for name in DESCRIBING
    ],
    "page_is_unique": [([{"pages": [{"path": "twice"}]}], {"package": "hdf5", "num_pages": 2})],
    "no_nulls": [
        *(([{"spec_stacks": [{"variants": ["odd"], name: ""}]}], {"package": "hdf5", name: ""}) for name in NAMED),
        *(([blank(name)], {"package": "hdf5", name: None}) for name in FILLED),
    ],
    "pages_are_accounted_for": [
        ([{"pages": [{**PAGE, "specs": 3}]}], {"path": "p", "specs": 3, "specs_found": None}),
        ([MORE], {"path": "page", "specs": 1, "specs_found": 2}),
        ([{"rejects": [{**OF_PAGE, "place": "x"}]}], {"path": "page", "rejects": 0, "rejects_found": 1}),
        (["update pages set rejects = 1"], {"path": "page", "rejects": 1, "rejects_found": None}),
        ([{"pages": [{**INDEX, "specs": 1}]}], {"path": "i", "specs": 1, "specs_found": None}),
        ([{"pages": [{**INDEX, "records": 7}]}], {"path": "i", "records": 7}),
        ([{"pages": [INDEX], "rejects": [{**OF_INDEX, "path": "i", "place": "x"}]}], {"path": "i", "rejects_found": 1}),
    ],
    "sources_are_loaded": [
        ([{"sources": [{"stack": "e4s", "state": "stale"}]}], {"stack": "e4s", "state": "stale"}),
        ([{"sources": [{"snapshot": None, "state": "failed"}]}], {"snapshot": None, "state": "failed"}),
    ],
    "records_are_accounted_for": [
        ([{"pages": [OF_RECORDS], "records": [{}]}], {"path": "i", "externals_found": 1, "holes": 1, "holes_found": 0}),
        ([{"pages": [OF_RECORDS], "records": [HOLE]}], {"path": "i", "externals": 1, "externals_found": 0}),
        ([{"records": [{}]}], {"path": "i", "externals": None, "externals_found": 1}),
        ([{"pages": [OF_RECORDS], "records": [{}, HOLE, {**HOLE, "stack": "e4s"}]}], {"stack": "e4s", "holes": None}),
    ],
    "missing_are_accounted_for": [
        ([{"spec_stacks": [{"hash": "h1", "stack": "hep", "installable": False}]}], {"hash": "h1", "stack": "hep"}),
        ([{"missing_dependencies": [{"stack": "hep"}]}], {"stack": "hep", "is_installable": True}),
    ],
    "specs_have_a_page": [
        ([{"spec_stacks": [{"hash": "h9", "source": "x"}]}], {"package": "hdf5", "source": "x"}),
        ([NEW], {"package": "p", "source": "page"}),
        (["update pages set snapshot = 'v1.0'"], {"snapshot": "develop", "source": "page"}),
    ],
    "rejects": [
        ([{"rejects": [OF_PAGE]}], {"path": "page", "place": "file", "reason": "because"}),
        ([{"rejects": [{}]}], {"path": "page"}),
    ],
    "meta_mismatches": [
        ([{"pages": [{**PAGE, "specs": 0, "meta_num_specs": 7}]}], {"field": "num_specs", "said": "7", "found": "0"})
    ],
    "stacks_are_as_tagged": [
        (
            [{"tags": [{"snapshot": "develop", "stack": "gone"}]}],
            {"stack": "gone", "found": "tagged, and no spec of it is here"},
        ),
        ([{"tags": [{"snapshot": "develop", "stack": "root"}]}], {"stack": "e4s", "found": "not tagged"}),
    ],
    "unknown_keys": [([{"pages": [{**PAGE, "unknown_keys": ["new=2"]}]}], {"path": "p", "unknown_keys": ["new=2"]})],
    **{f"matrix_by_{axis}_columns": [([MANY], {axis: f"{axis[0]}499", "specs": 1})] for axis in AXES},
    **{
        f"matrix_by_{axis}_totals": [
            ([freeze(f"matrix_by_{axis}"), MORE], {"package": "hdf5", "wide_total": 1, "long_total": 2}),
            ([MORE, freeze(f"matrix_by_{axis}"), LESS], {"package": "hdf5", "wide_total": 2, "long_total": 1}),
            ([freeze(f"matrix_by_{axis}"), NEW], {"package": "p", "wide_total": None, "long_total": 1}),
            ([NEW, freeze(f"matrix_by_{axis}"), LESS], {"package": "p", "wide_total": 1, "long_total": None}),
        ]
        for axis in AXES
    },
    **{
        f"summary_by_{axis}_in_range": [
            ([fake_summary(axis, **columns)], {axis: "x"})
            for columns in (
                {"coverage": "1.5"},
                {"coverage": "-0.5"},
                {"coverage": "null"},
                {"packages": 3, "specs": 9},
                {"packages": 2},
            )
        ]
        for axis in AXES
    },
}
MATRICES = tuple(f"matrix_by_{axis}_columns" for axis in AXES)
WARNINGS = ("rejects", "meta_mismatches", "sources_are_loaded", "stacks_are_as_tagged", "unknown_keys", *MATRICES)
CASES = [
    pytest.param(name, steps, shown, id=f"{name}-{number}")
    for name, offences in OFFENCES.items()
    for number, (steps, shown) in enumerate(offences)
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A file of the good rows: making its views takes longer than most tests."""
    path = tmp_path_factory.mktemp("good") / "good.duckdb"
    with duckdb.connect(str(path)) as made:
        load(made, GOOD)
    return path


@pytest.fixture
def connection(good, tmp_path):
    with duckdb.connect(shutil.copy(good, tmp_path / "good.duckdb")) as made:
        yield made


def commit(connection, steps):
    for step in steps:
        if isinstance(step, str):
            connection.execute(step)
        else:
            insert(connection, step)


CHECKS = {query.name: query for query in list_checks()}


def shown_rows(check):
    return [dict(zip(check.columns, row, strict=True)) for row in check.rows]


def test_every_check_has_an_offence_here():
    assert set(CHECKS) == set(OFFENCES)


def test_good_data_passes_every_check(connection):
    assert [check.name for check in run_checks(connection) if check.offenders] == []


@pytest.mark.parametrize(("name", "steps", "shown"), CASES)
def test_an_offence_is_found_and_shown(connection, name, steps, shown):
    commit(connection, steps)
    check = run_check(connection, CHECKS[name])

    assert check.offenders >= 1
    assert len(check.rows) == min(check.offenders, SHOWN)
    assert check.warning == (name in WARNINGS)
    assert check.failed != check.warning
    assert any(shown.items() <= row.items() for row in shown_rows(check)), check.rows


def check_database(path, snapshots=None):
    with duckdb.connect() as made:
        made.execute(f"attach '{path}' as warehouse (read_only)")
        return check_attached(made, snapshots)


@pytest.mark.slow
def test_checks_can_be_kept_to_some_snapshots(tmp_path):
    pages = {("develop", "p"): [make_spec(1, new=1)], ("v1.0", "p"): [make_spec(1)]}
    database = Layout(build_pages(tmp_path, pages)).database.resolve()

    def found(*snapshots):
        return [check.name for check in check_database(database, snapshots) if check.offenders]

    assert found("develop") == found("develop", "v1.0") == ["unknown_keys"]
    assert found("v1.0") == found() == []
    with duckdb.connect(str(database)) as connection:
        connection.execute("insert into stored_specs from stored_specs where snapshot = 'develop' limit 1")
        connection.execute("insert into rejects (path, place, reason) values ('unread', 'file', 'is empty')")
    assert found("develop") == ["key_is_unique", "meta_mismatches", "rejects", "unknown_keys"]
    assert found("v1.0") == found() == ["rejects"], "a file of no known snapshot concerns every build"


def test_another_connection_may_look_at_its_tables_meanwhile(tmp_path, monkeypatch):
    """A build makes its views while the checks of one part after another run."""
    database = Layout(build_pages(tmp_path, {("develop", "p"): [make_spec(1)]})).database.resolve()
    with duckdb.connect() as first:
        first.execute(f"attach '{database}' as warehouse (read_only)")
        second = first.cursor()
        looked = []

        def look_and_run(*arguments):
            looked.append(first.execute("select count(*) from duckdb_tables()").fetchone())
            return run_checks(*arguments)

        monkeypatch.setattr("pipeline.store.checks.run_checks", look_and_run)
        first.execute("begin")
        for _ in range(2):
            assert [check.name for check in check_attached(second) if check.failed] == []
        first.execute("commit")

    assert len(looked) == 2


def test_a_file_is_checked_as_its_own_views_are(tmp_path, monkeypatch):
    """The views are made anew for it, as far as the checks need them, and specs are brought together once."""
    monkeypatch.setattr("pipeline.store.checks.SHOWN", 100)
    pages = {
        ("develop", "p"): [make_spec(number) for number in range(3)],
        ("develop", "q"): [make_spec(number, new=1) for number in range(3, 6)],
    }
    database = Layout(build_pages(tmp_path, pages)).database.resolve()
    damages = (
        "insert into stored_specs from stored_specs where package = 'p' limit 2",
        "insert into stored_specs select * replace ('other' as os, [] as stacks) from stored_specs where package = 'q'",
        "update stored_specs set in_root = false where package = 'q' and os <> 'other'",
        "delete from pages where package = 'p'",
        "update pages set specs = 7, meta_num_specs = 7, meta_oss = ['b', 'a', 'b'], meta_stacks = null",
    )
    with duckdb.connect(str(database)) as connection:
        for damage in damages:
            connection.execute(damage)
    with duckdb.connect(str(database), read_only=True) as connection:
        own = {check.name: (check.offenders, sorted(map(str, check.rows))) for check in run_checks(connection)}
    anew = {check.name: (check.offenders, sorted(map(str, check.rows))) for check in check_database(database)}

    assert anew == own
    assert {name for name, (offenders, _) in own.items() if offenders} == {
        "hash_is_one_spec",
        "key_is_unique",
        "meta_mismatches",
        "pages_are_accounted_for",
        "specs_have_a_page",
        "unknown_keys",
    }


def test_all_offenders_are_counted_and_a_few_are_shown(connection):
    insert(connection, {"rejects": [{"path": f"page {number}"} for number in range(12)]})
    check = run_check(connection, CHECKS["rejects"])

    assert (check.offenders, len(check.rows)) == (12, SHOWN)


def test_checks_run_in_the_order_of_their_names(connection):
    checks = run_checks(connection)

    assert [check.name for check in checks] == sorted(CHECKS)


@pytest.mark.parametrize("query", CHECKS.values(), ids=lambda query: query.name)
def test_a_check_opens_with_its_name_and_rule(connection, query):
    first = query.render().splitlines()[0]

    assert first.startswith(f"-- {query.name}: ")
    assert first.partition(" (warning")[0].endswith(f": {run_check(connection, query).rule}")


def test_an_empty_warehouse_passes():
    with duckdb.connect() as connection:
        create_tables(connection)
        create_views(connection)
        assert [check.name for check in run_checks(connection) if check.offenders] == []
