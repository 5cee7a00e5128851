"""A build without the DuckDB file: the Parquet of one with it, checked as it is."""

import msgspec
import pytest

from pipeline.build import build
from pipeline.layout import DATABASE, PUBLISHED, Layout
from pipeline.store.state import read_state, save_state
from tests.commands import run
from tests.makers import SAMPLE, make_page, make_spec, parquet_bytes, rest_slow, write_page, write_pages

COMMANDS = {
    "sql": ("sql", "select 1"),
    "have": ("have", "hdf5"),
    "gaps": ("gaps",),
    "diff": ("diff", "latest", "latest"),
    "check": ("check",),
    "shell": ("shell",),
    "report": ("report",),
    "publish": ("publish", "--out", "{out}"),
    "site": ("site", "--out", "{out}"),
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    warehouse = tmp_path_factory.mktemp("alone") / "w"
    done = run("build", SAMPLE, "--warehouse", warehouse, "--no-database")
    assert (done.returncode, done.stderr) == (0, "")
    return warehouse


def test_its_parquet_is_that_of_a_build_with_a_database(alone, sample):
    assert parquet_bytes(alone) == parquet_bytes(sample)


def test_it_has_every_name_but_the_database(alone):
    assert {path.name for path in alone.iterdir() if not path.name.startswith(".")} == {*PUBLISHED} - {DATABASE}
    assert not (alone / ".current" / DATABASE).exists()
    assert not (alone / ".current" / "scratch").exists()


@pytest.mark.parametrize("command", rest_slow(COMMANDS, 3))
def test_what_asks_the_database_says_how_to_have_one(alone, tmp_path, command):
    done = run(*(one.format(out=tmp_path / "out") for one in COMMANDS[command]), "--warehouse", alone)

    assert done.returncode == 1
    assert (
        done.stderr
        == f"spack-warehouse: {alone}: was built with --no-database; to put questions to it, build it without\n"
    )


def test_nothing_is_read_again_where_nothing_changed(alone):
    before = (alone / ".current").resolve()
    done = run("build", SAMPLE, "--warehouse", alone, "--no-database")

    assert (done.returncode, done.stderr) == (0, "")
    assert "no snapshot changed" in done.stdout
    assert (alone / ".current").resolve() == before


@pytest.mark.slow
def test_a_changed_snapshot_is_checked_and_the_others_are_taken_over(tmp_path):
    for number in (1, 2):
        write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(number)], ("v1", "p"): [make_spec(9)]})
        summary = build([tmp_path / "pages"], tmp_path / "w", jobs=1, database=False)
    build([tmp_path / "pages"], tmp_path / "whole", jobs=1)

    assert (summary.rebuilt, summary.failed) == (1, [])
    assert parquet_bytes(tmp_path / "w") == parquet_bytes(tmp_path / "whole")


def test_a_failed_check_is_not_forgotten_where_nothing_changed(tmp_path):
    write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(1)], ("v1", "p"): [make_spec(9)]})
    build([tmp_path / "pages"], tmp_path / "w", jobs=1, database=False)
    current = Layout(tmp_path / "w").current
    state = read_state(current)
    save_state(current, msgspec.structs.replace(state, failed=["key_is_unique"]))
    summary = build([tmp_path / "pages"], tmp_path / "w", jobs=1, database=False)

    assert summary.rebuilt == 2
    assert "key_is_unique" in {check.name for check in summary.checks}
    assert summary.failed == []


@pytest.mark.slow
def test_a_database_comes_and_goes_with_the_builds(tmp_path):
    write_page(tmp_path / "pages", make_page([make_spec(1)]))
    build([tmp_path / "pages"], tmp_path / "w", jobs=1)
    build([tmp_path / "pages"], tmp_path / "w", jobs=1, database=False)
    assert not (tmp_path / "w" / DATABASE).is_symlink()
    assert run("build", "--rollback", "--warehouse", tmp_path / "w").returncode == 0

    assert run("sql", "select package from specs", "--format", "csv", "--warehouse", tmp_path / "w").stdout == (
        "package\nhdf5\n"
    )
    build([tmp_path / "pages"], tmp_path / "w", jobs=1, database=False)
    build([tmp_path / "pages"], tmp_path / "w", jobs=1)
    assert run("build", "--rollback", "--warehouse", tmp_path / "w").returncode == 0
    assert not (tmp_path / "w" / DATABASE).is_symlink()


@pytest.mark.slow
def test_its_faults_are_reported_and_its_checks_run(tmp_path):
    wrong = {**make_spec(1), "size": "no number"}
    write_page(tmp_path / "pages", make_page([make_spec(2), wrong], meta={"hash": ["wrong"]}))
    with_one = run("build", tmp_path / "pages", "--warehouse", tmp_path / "one", "--strict")
    without = run("build", tmp_path / "pages", "--warehouse", tmp_path / "two", "--strict", "--no-database")

    assert with_one.returncode == without.returncode == 3
    assert without.stderr == with_one.stderr != ""
    summaries = [
        build([tmp_path / "pages"], tmp_path / name, jobs=1, database=database)
        for name, database in (("three", True), ("four", False))
    ]
    found = [{check.name: (check.offenders, check.rows) for check in summary.checks} for summary in summaries]
    assert found[1] == {name: rows for name, rows in found[0].items() if name in found[1]}
    assert {name for name in found[0] if name not in found[1]} <= {
        "stacks_are_as_tagged",
        *(name for name in found[0] if name.startswith("matrix_by_")),
    }
    assert any(offenders for offenders, _ in found[1].values())
