"""Delta tables hold, version by version, what the warehouse held; Polars, DuckDB and delta-rs read them."""

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor, wait

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from pipeline.build import build
from pipeline.catalog.delta import LOCK, LOG, write_delta
from pipeline.errors import WarehouseError
from pipeline.io.disk import hold_lock
from pipeline.layout import DATABASE, Layout
from pipeline.schema import TABLES
from pipeline.store.database import open_database
from tests.commands import NEWER, run, run_other
from tests.makers import SAMPLE, make_index, make_record, make_spec, write_pages, write_v2

OTHER = "v1.0"
COPY_BY_DUCKDB = """
import duckdb, duckdb_extension_delta, json, pathlib, sys
folder = pathlib.Path(duckdb_extension_delta.__file__).parent
(extension,) = folder.rglob(f"v{duckdb.__version__}/delta.duckdb_extension")
connection = duckdb.connect()
connection.execute(f"load '{extension}'")
for table, version, copy in json.loads(sys.stdin.read()):
    connection.execute(f"copy (from delta_scan('{table}', version = {version})) to '{copy}' (format parquet)")
"""


def write_sources(folder, numbers):
    """Pages of a snapshot for each of ``numbers``, and an index with dependencies."""
    write_pages(folder / "pages", {(name, "p"): [make_spec(number)] for name, number in numbers.items()})
    write_v2(folder / "caches" / "develop-2025-01-05" / "e4s", make_index([make_record(make_spec(9), "q")]))
    return [folder / "pages", folder / "caches"]


def read_warehouse(warehouse, table):
    with open_database(Layout(warehouse)) as connection:
        return connection.sql(f"from {table}").pl()


def read_version(out, table, version):
    """By delta-rs itself."""
    there = DeltaTable(str(out / table), version=version)
    answer = QueryBuilder().register("there", there).execute("select * from there")
    return pl.DataFrame(pa.table(answer.read_all()))


def sort_rows(frame):
    """The rows of a frame, in one order."""
    columns = sorted(frame.columns)
    return columns, sorted(map(repr, frame.select(columns).rows()))


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Tables after three builds, one snapshot changed and one gone in the last: (out, versions, rows of each)."""
    folder = tmp_path_factory.mktemp("delta")
    history = []
    for numbers in ({"develop": 1, OTHER: 2}, {"develop": 3, OTHER: 2}, {"develop": 3}):
        for old in (folder / "pages").rglob("*.md"):
            old.unlink()
        build(write_sources(folder, numbers), folder / "w", jobs=1)
        summary = write_delta(Layout(folder / "w"), folder / "out")
        held = {table.name: sort_rows(read_warehouse(folder / "w", table.name)) for table in TABLES}
        history.append((summary, held))
    return folder, history


@pytest.mark.slow
def test_each_version_is_the_warehouse_of_its_day(three):
    folder, history = three
    for summary, held in history:
        for table, version in summary.versions.items():
            assert sort_rows(read_version(folder / "out", table, version)) == held[table], table


def test_polars_reads_the_same(three):
    folder, history = three
    for summary, held in history:
        version = summary.versions["spec_stacks"]
        assert sort_rows(pl.read_delta(str(folder / "out" / "spec_stacks"), version=version)) == held["spec_stacks"]


def test_duckdb_reads_the_same(three, tmp_path):
    folder, history = three
    assert (NEWER / "duckdb_extension_delta").is_dir(), f"delta is not in {NEWER}: `make test` installs it"
    copies = {
        (number, table, version): str(tmp_path / f"{number}-{table}.parquet")
        for number, (summary, _) in enumerate(history)
        for table, version in summary.versions.items()
    }
    wanted = [[str(folder / "out" / table), version, copy] for (_, table, version), copy in copies.items()]
    run_other(COPY_BY_DUCKDB, NEWER, json.dumps(wanted), tmp_path)

    for (number, table, _), copy in copies.items():
        assert sort_rows(pl.read_parquet(copy, hive_partitioning=False)) == history[number][1][table], table


@pytest.mark.parametrize("name", ["v1 a", "a%b", "a=b", "ü"])
def test_a_snapshot_that_readers_spell_otherwise_is_refused(tmp_path, name):
    write_pages(tmp_path / "pages", {(name, "p"): [make_spec(1)]})
    build([tmp_path / "pages"], tmp_path / "w", jobs=1)

    with pytest.raises(WarehouseError, match="readers of Delta tables do not agree on such a name"):
        write_delta(Layout(tmp_path / "w"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_table_with_rows_is_there(three):
    _, history = three
    for summary, held in history:
        assert {table for table, (_, rows) in held.items() if rows} <= summary.versions.keys()


def test_a_commit_is_a_snapshot_and_only_what_changed_is_written(three):
    folder, history = three
    versions = [summary.versions["spec_stacks"] for summary, _ in history]
    # Three snapshots are three commits; then one changed, then one is gone.
    assert versions == [2, 3, 4]
    log = DeltaTable(str(folder / "out" / "spec_stacks")).history()
    assert [entry.get("snapshot") for entry in log[:2]] == [OTHER, "develop"]
    assert history[1][0].versions["dependencies"] == history[0][0].versions["dependencies"]


def test_files_are_the_warehouses_own(three):
    folder, _ = three
    (place,) = (folder / "w" / "spec_stacks" / "snapshot=develop").glob("*.parquet")
    folders = (folder / "out" / "spec_stacks" / "snapshot=develop").glob("*.parquet")
    found = [path for path in folders if os.path.samefile(path, place)]
    assert len(found) == 1


def test_nothing_points_outside(three):
    folder, _ = three
    for path in (folder / "out").rglob(f"{LOG}/*.json"):
        assert str(folder) not in path.read_text()
        for line in map(json.loads, path.read_text().splitlines()):
            assert not line.get("add", {}).get("path", "").startswith(("/", "..", "file:"))


def test_an_unchanged_warehouse_gets_no_version(three):
    folder, history = three
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")}
    summary = write_delta(Layout(folder / "w"), folder / "out")

    assert (summary.commits, summary.files, summary.removed) == (0, 0, 0)
    assert summary.versions == history[-1][0].versions
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")} == before


def test_what_no_version_needs_goes_after_its_days(tmp_path):
    for number in (1, 2):
        write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(number)]})
        build([tmp_path / "pages"], tmp_path / "w", jobs=1)
        write_delta(Layout(tmp_path / "w"), tmp_path / "out")
    there = list((tmp_path / "out" / "spec_stacks").rglob("*.parquet"))
    summary = write_delta(Layout(tmp_path / "w"), tmp_path / "out", kept_days=0)

    assert len(there) == 2
    assert summary.removed >= 1
    assert len(list((tmp_path / "out" / "spec_stacks").rglob("*.parquet"))) == 1
    assert sort_rows(pl.read_delta(str(tmp_path / "out" / "spec_stacks"))) == sort_rows(
        read_warehouse(tmp_path / "w", "spec_stacks")
    )


def test_a_file_system_without_links_gets_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(1)]})
    build([tmp_path / "pages"], tmp_path / "w", jobs=1)
    monkeypatch.setattr("os.link", refuse)
    write_delta(Layout(tmp_path / "w"), tmp_path / "out")

    frame = pl.read_delta(str(tmp_path / "out" / "spec_stacks"))
    assert sort_rows(frame) == sort_rows(read_warehouse(tmp_path / "w", "spec_stacks"))
    assert not [path for path in (tmp_path / "out").rglob(".*") if path.is_file()]


def test_columns_of_another_version_are_brought_in_at_once(tmp_path):
    write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(1)], ("v1", "p"): [make_spec(2)]})
    build([tmp_path / "pages"], tmp_path / "w", jobs=1)
    write_delta(Layout(tmp_path / "w"), tmp_path / "out")
    path = tmp_path / "out" / "pages" / LOG / f"{0:020}.json"
    path.write_text(path.read_text().replace('\\"sha256\\"', '\\"digest\\"'))
    summary = write_delta(Layout(tmp_path / "w"), tmp_path / "out")

    assert summary.commits == 1
    assert sort_rows(pl.read_delta(str(tmp_path / "out" / "pages"))) == sort_rows(
        read_warehouse(tmp_path / "w", "pages")
    )


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_file_that_was_lost_or_cut_is_made_good(tmp_path, sample, damage):
    write_delta(Layout(sample), tmp_path / "out")
    (path, *_) = sorted((tmp_path / "out" / "spec_stacks").rglob("*.parquet"))
    path.unlink()
    if damage == "cut":
        path.touch()
    summary = write_delta(Layout(sample), tmp_path / "out")

    assert (summary.commits, summary.files) == (0, 1)
    assert sort_rows(pl.read_delta(str(tmp_path / "out" / "spec_stacks"))) == sort_rows(
        read_warehouse(sample, "spec_stacks")
    )


def test_a_damaged_log_is_one_line(tmp_path):
    write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(1)]})
    build([tmp_path / "pages"], tmp_path / "w", jobs=1)
    write_delta(Layout(tmp_path / "w"), tmp_path / "out")
    (tmp_path / "out" / "pages" / LOG / f"{0:020}.json").write_text("{")

    with pytest.raises(WarehouseError, match="pages: "):
        write_delta(Layout(tmp_path / "w"), tmp_path / "out")


def test_the_command_writes_them(tmp_path, sample):
    done = run("publish", "--format", "delta", "--out", tmp_path / "out", "--warehouse", sample)
    again = run("publish", "--format", "delta", "--out", tmp_path / "out", "--warehouse", sample)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r".*: \d Delta tables: \d+ commits, \d+ new files, 0 removed\n", done.stdout)
    assert again.stdout.endswith(": 0 commits, 0 new files, 0 removed\n")
    frame = pl.read_delta(str(tmp_path / "out" / "spec_stacks"))
    assert sort_rows(frame) == sort_rows(read_warehouse(sample, "spec_stacks"))


def test_two_at_once_write_one_after_the_other(tmp_path, sample):
    with ThreadPoolExecutor(2) as both, hold_lock(tmp_path / LOCK, pytest.fail):
        written = [both.submit(write_delta, Layout(sample), tmp_path) for _ in range(2)]
        _, waiting = wait(written, 0.3)
        assert len(waiting) == 2
        assert not list(tmp_path.rglob(LOG))
    (first, second) = sorted((one.result() for one in written), key=lambda one: one.commits)

    assert (first.commits, first.files) == (0, 0)
    assert second.commits > 0
    assert second.versions == first.versions
    assert sort_rows(pl.read_delta(str(tmp_path / "spec_stacks"))) == sort_rows(read_warehouse(sample, "spec_stacks"))


def test_a_warehouse_without_a_database_has_the_same_tables(tmp_path, sample):
    build([SAMPLE], tmp_path / "w", jobs=1, database=False)
    write_delta(Layout(tmp_path / "w"), tmp_path / "out")

    assert not (tmp_path / "w" / DATABASE).exists()
    assert sort_rows(pl.read_delta(str(tmp_path / "out" / "spec_stacks"))) == sort_rows(
        read_warehouse(sample, "spec_stacks")
    )


@pytest.mark.parametrize(
    "options", [["--verify", "x"], ["--base-url", "https://example.org"], ["--history", "1"], ["--format", "files"]]
)
def test_the_command_refuses_what_delta_tables_have_not(tmp_path, sample, options):
    arguments = ["--format", "delta", "--keep-days", "3", "--out", tmp_path / "out", *options]

    assert run("publish", "--warehouse", sample, *arguments).returncode == 2
    assert not (tmp_path / "out").exists()
