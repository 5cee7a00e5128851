"""Every check passes on good data, and has data here that it must object to."""

import duckdb
import pytest

from pipeline import sqlfiles
from pipeline.checks import SHOWN, check_snapshots, run_check, run_checks
from pipeline.layout import Layout
from pipeline.warehouse import create_tables, create_views
from tests.makers import build_pages, make_spec
from tests.test_sql_cases import complete, load

GOOD = {
    "spec_stacks": [{"stack": "e4s"}, {"stack": "root"}, {"hash": "h2", "package": "zlib", "source": "zlib"}],
    "pages": [{}, {"package": "zlib", "path": "zlib"}],
    "rejects": [],
}

# What each check objects to: rows added to the good ones, or statements that damage them.
OFFENCES = {
    "key_is_unique": {"spec_stacks": [{"stack": "e4s"}]},
    "hash_is_one_spec": {"spec_stacks": [{"stack": "hep", "package": "zlib"}]},
    "page_is_unique": {"pages": [{"path": "twice"}]},
    "no_nulls": {"spec_stacks": [{"hash": "h3", "os": ""}]},
    "pages_are_accounted_for": {"pages": [{"package": "lost", "path": "lost", "specs": 3}]},
    "specs_have_a_page": {"spec_stacks": [{"hash": "h4", "source": "nowhere"}]},
    "rejects": {"rejects": [{}]},
    "meta_mismatches": {"pages": [{"package": "p", "path": "p", "specs": 0, "meta_num_specs": 7}]},
    "unknown_keys": {"pages": [{"package": "p", "path": "p", "specs": 0, "unknown_keys": ["new=2"]}]},
    **{
        f"matrix_by_{axis}_totals": f"create or replace view coverage_by_{axis} as "
        f"select 'develop' as snapshot, 'hdf5' as package, 'x' as {axis}, 9 as num_specs, [] as versions"
        for axis in ("stack", "compiler", "target")
    },
    **{
        f"summary_by_{axis}_in_range": f"create or replace view summary_by_{axis} as "
        f"select 'develop' as snapshot, 'x' as {axis}, 3 as packages, 2 as packages_total, 1.5 as coverage, 9 as specs"
        for axis in ("stack", "compiler", "target")
    },
}


@pytest.fixture
def connection():
    with duckdb.connect() as made:
        load(made, GOOD)
        yield made


def offend(connection, name):
    offence = OFFENCES[name]
    if isinstance(offence, str):
        matrix = name.replace("_totals", "")
        if matrix.startswith("matrix"):
            # Fixed before the long view changes under it, as a wrong matrix would be.
            connection.execute(f"create table fixed as from {matrix}")
            connection.execute(f"create or replace view {matrix} as from fixed")
        connection.execute(offence)
        return
    for table, rows in offence.items():
        for row in rows:
            values = complete(table, row)
            marks = ", ".join("?" for _ in values)
            connection.execute(f"insert into {table} ({', '.join(values)}) values ({marks})", list(values.values()))


def file_of(name):
    return sqlfiles.sql_folder() / "checks" / f"{name}.sql"


def test_every_check_has_an_offence_here():
    assert {file.stem for file in sqlfiles.check_files()} == set(OFFENCES)


def test_good_data_passes_every_check(connection):
    assert [check.name for check in run_checks(connection) if check.offenders] == []


@pytest.mark.parametrize("name", OFFENCES)
def test_an_offence_is_found_and_shown(connection, name):
    offend(connection, name)
    check = run_check(connection, file_of(name))

    assert check.offenders >= 1
    assert len(check.rows) == min(check.offenders, SHOWN)
    assert check.warning == (name in ("rejects", "meta_mismatches", "unknown_keys"))
    assert check.failed != check.warning


def test_checks_can_be_kept_to_some_snapshots(tmp_path):
    pages = {("develop", "p"): [make_spec(1, new=1)], ("v1.0", "p"): [make_spec(1)]}
    database = Layout(build_pages(tmp_path, pages)).database.resolve()

    def found(*snapshots):
        return [check.name for check in check_snapshots(database, snapshots) if check.offenders]

    assert found("develop") == found("develop", "v1.0") == ["unknown_keys"]
    assert found("v1.0") == found() == []
    with duckdb.connect(str(database)) as connection:
        connection.execute("insert into spec_stacks from spec_stacks where snapshot = 'develop' limit 1")
    assert "key_is_unique" in found("develop")
    assert found("v1.0") == []


def test_all_offenders_are_counted_and_a_few_are_shown(connection):
    for number in range(12):
        connection.execute("insert into rejects (path, place, reason) values (?, 'file', 'x')", [f"page {number}"])
    check = run_check(connection, file_of("rejects"))

    assert (check.offenders, len(check.rows)) == (12, SHOWN)


@pytest.mark.parametrize("file", sqlfiles.check_files(), ids=lambda file: file.stem)
def test_a_check_opens_with_its_name_and_rule(file):
    assert file.read_text().startswith(f"-- {file.stem}: ")


def test_an_empty_warehouse_passes():
    with duckdb.connect() as connection:
        create_tables(connection)
        create_views(connection)
        assert [check.name for check in run_checks(connection) if check.offenders] == []
