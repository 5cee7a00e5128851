"""``check`` compares what is published with what the build wrote."""

import shutil

import duckdb
import pytest

from pipeline.layout import Layout
from pipeline.store.checks import check_files
from tests.commands import run

PARQUET = "spec_stacks/snapshot=develop/spec_stacks.parquet"


@pytest.fixture
def copy(sample, tmp_path):
    return shutil.copytree(sample, tmp_path / "warehouse", symlinks=True)


def test_what_a_build_wrote_is_well(copy):
    check = check_files(Layout(copy))
    assert (check.failed, check.offenders, check.rows) == (False, 0, [])
    assert "ok       files_are_as_built: " in run("check", "--warehouse", copy).stdout


def change(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_every_file_that_differs_is_named(copy):
    change(copy / PARQUET)
    (copy / "pages/snapshot=develop/pages.parquet").unlink()
    shutil.copy(copy / PARQUET, copy / "spec_stacks/snapshot=develop/more.parquet")
    done = run("check", "--warehouse", copy)

    assert done.returncode == 3
    assert "failed   files_are_as_built (3): " in done.stdout
    assert f"file={PARQUET}, found=changed\n" in done.stdout
    assert "file=pages/snapshot=develop/pages.parquet, found=missing\n" in done.stdout
    assert "file=spec_stacks/snapshot=develop/more.parquet, found=not of the build\n" in done.stdout


def test_a_database_that_was_written_to_is_named(copy):
    with duckdb.connect(str((copy / "warehouse.duckdb").resolve())) as connection:
        connection.execute("create table more as select 1")
    assert check_files(Layout(copy)).rows == [("warehouse.duckdb", "changed")]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_build_without_its_state_fails(copy, damage):
    state = Layout(copy).current.state
    state.unlink() if damage == "missing" else state.write_bytes(b"\xff")
    done = run("check", "--warehouse", copy)
    assert done.returncode == 3
    assert "file=state.msgpack, found=missing or damaged" in done.stdout


def test_a_copy_that_followed_the_links_has_nothing_to_compare_with(copy, tmp_path):
    shutil.copytree(copy, tmp_path / "followed")
    done = run("check", "--warehouse", tmp_path / "followed")
    assert done.returncode == 0
    assert "warning  files_are_as_built (1): " in done.stdout
