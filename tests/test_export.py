"""Reports say what the views say, and their CSV is safe in a spreadsheet and exact in a program."""

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ask.output import GUARDED, guard, guard_text
from pipeline.build import build
from pipeline.errors import WarehouseError
from pipeline.layout import Layout
from pipeline.report.export import REPORTS, export_reports
from tests.makers import ask, build_pages, make_page, make_spec, thorough, write_page

PAGES = Path(__file__).parent / "data" / "pages"


@pytest.fixture(scope="module")
def warehouse(sample_copy):
    export_reports(Layout(sample_copy))
    return sample_copy


def read_csv(path):
    """A report as the README says to read it."""
    with path.open(newline="") as file:
        return [[cell.removeprefix("'") for cell in row] for row in csv.reader(file)]


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_snapshot_has_every_report_and_an_index_that_is_true(warehouse):
    for snapshot in ("develop", "develop-2025-03-16", "develop-2025-03-30"):
        folder = warehouse / "reports" / snapshot
        index = json.loads((folder / "index.json").read_text())
        assert index["snapshot"] == snapshot
        assert {(one["report"], one["format"]) for one in index["reports"]} == {
            (report, format) for report in REPORTS for format in ("csv", "parquet")
        }
        assert {one["path"] for one in index["reports"]} | {"index.json"} == {path.name for path in folder.iterdir()}
        for one in index["reports"]:
            data = (folder / one["path"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (one["bytes"], one["sha256"])
            if one["format"] == "csv":
                assert read_csv(folder / one["path"])[0] == one["columns"]
                assert len(read_csv(folder / one["path"])) == one["rows"] + 1
            else:
                assert pq.read_metadata(folder / one["path"]).num_rows == one["rows"]


@pytest.mark.parametrize("report", [name for name in REPORTS if name != "rejects"])
def test_a_report_is_its_view_for_one_snapshot(warehouse, report):
    path = warehouse / "reports" / "develop" / f"{report}.parquet"
    expected = ask(warehouse, f"select * from {report} where snapshot = 'develop' order by all")

    assert duckdb.sql(f"select * from '{path}' order by all").fetchall() == expected


def test_lists_are_json_and_numbers_plain(warehouse):
    rows = read_csv(warehouse / "reports" / "develop" / "coverage_by_stack.csv")

    assert rows[0] == ["snapshot", "package", "stack", "num_specs", "versions", "latest_version"]
    assert rows[1] == ["develop", "py-build", "e4s", "8", '["1.2.1","1.2.2"]', "1.2.2"]


def test_the_same_warehouse_gives_the_same_bytes(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path)

    assert files_below(tmp_path) == files_below(warehouse / "reports")


def test_what_an_earlier_export_left_is_gone(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path)
    export_reports(Layout(warehouse), tmp_path, ["csv"], ["develop"])

    assert not list((tmp_path / "develop").glob("*.parquet"))
    assert (tmp_path / "develop-2025-03-16" / "rejects.parquet").exists()
    names = ["develop", "develop-2025-03-16", "develop-2025-03-30", "index.html", "index.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_an_unknown_snapshot_is_refused_and_nothing_written(warehouse, tmp_path):
    with pytest.raises(WarehouseError, match="no snapshot"):
        export_reports(Layout(warehouse), tmp_path, snapshots=["develop", "v9"])
    assert list(tmp_path.iterdir()) == []


def test_rejects_of_unread_files_are_in_every_snapshots_report(tmp_path):
    write_page(tmp_path / "source", make_page([make_spec(1), make_spec(2, hash="+x")], meta={}), "a.md")
    write_page(tmp_path / "source", make_page([make_spec(3)], snapshot="v1.0"), "b.md")
    write_page(tmp_path / "source", "", "=c.md")
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    export_reports(Layout(tmp_path / "warehouse"), tmp_path / "out")

    assert [row[:2] for row in read_csv(tmp_path / "out/develop/rejects.csv")[1:]] == [
        ["=c.md", "file"],
        ["a.md", "spec_details[1].hash"],
    ]
    assert [row[0] for row in read_csv(tmp_path / "out/v1.0/rejects.csv")[1:]] == ["=c.md"]
    assert "'=c.md" in (tmp_path / "out/v1.0/rejects.csv").read_text()


def test_odd_names_make_safe_columns_and_folders(tmp_path):
    stacks = ["=1+1", "@x", "a,b", 'q"q']
    warehouse = build_pages(tmp_path, {("a/../b", "-p"): [make_spec(1, stacks=stacks)]})
    export_reports(Layout(warehouse), tmp_path / "out")
    (folder,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
    text = (folder / "matrix_by_stack.csv").read_text()

    assert read_csv(folder / "matrix_by_stack.csv") == [["snapshot", "package", *stacks], ["a/../b", "-p", *"1111"]]
    assert "'=1+1" in text
    assert "'-p" in text


@pytest.fixture(scope="module")
def in_memory():
    with duckdb.connect() as connection:
        yield connection


cells = st.one_of(st.text(max_size=8), st.builds(str.__add__, st.sampled_from(list(GUARDED)), st.text(max_size=4)))


@thorough(30, 200)
@given(st.lists(cells.filter(lambda text: "\0" not in text), min_size=1, max_size=5))
def test_any_text_survives_and_none_is_a_formula(in_memory, tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "cells.csv"
    with in_memory.cursor() as connection:
        connection.execute("create or replace table cells (number bigint, cell varchar, many varchar[])")
        for number, text in enumerate(texts):
            connection.execute("insert into cells values (?, ?, ?)", [number, text, [text]])
        selected = f"number, {guard('cell', 'VARCHAR')} as cell, {guard('many', 'VARCHAR[]')} as many"
        connection.execute(f"copy (select {selected} from cells order by number) to '{path}' (format csv, header)")

    with path.open(newline="") as file:
        raw = list(csv.reader(file))[1:]
    assert not [row for row in raw for cell in row[1:] if cell[:1] in set("=+-@\t\r")]
    assert [row[1] for row in read_csv(path)[1:]] == texts
    assert [json.loads(row[2]) for row in read_csv(path)[1:]] == [[text] for text in texts]


@given(cells)
def test_a_guard_is_taken_off_exactly(text):
    assert guard_text(text).removeprefix("'") == text
    assert guard_text(text)[:1] not in set("=+-@\t\r")


def test_a_spreadsheet_takes_no_cell_of_the_sample_for_a_formula(warehouse):
    for path in (warehouse / "reports").rglob("*.csv"):
        with path.open(newline="") as file:
            for row in csv.reader(file):
                assert not [cell for cell in row if cell[:1] in set("=+-@")]


@pytest.mark.parametrize("report", [name for name in REPORTS if name != "rejects"])
def test_json_is_an_array_of_the_rows(warehouse, tmp_path, report):
    export_reports(Layout(warehouse), tmp_path, ["json"], ["develop"])
    rows = json.loads((tmp_path / "develop" / f"{report}.json").read_text())
    names = [row[0] for row in ask(warehouse, f"describe {report}")]
    expected = ask(warehouse, f"select * from {report} where snapshot = 'develop'")

    assert all(list(row) == names for row in rows)
    assert sorted(str(list(row.values())) for row in rows) == sorted(str(list(row)) for row in expected)


def test_the_index_of_all_names_every_file_that_is_there(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path, ["csv", "xlsx"])
    export_reports(Layout(warehouse), tmp_path, ["json", "markdown"], ["develop"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.json").write_text("not ours")
    export_reports(Layout(warehouse), tmp_path, ["json", "markdown"], ["develop"])
    index = json.loads((tmp_path / "index.json").read_text())
    described = {one["path"]: one for snapshot in index["snapshots"] for one in snapshot["reports"]}
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("develop*/*") if path.name != "index.json"}

    assert [one["snapshot"] for one in index["snapshots"]] == ["develop", "develop-2025-03-16", "develop-2025-03-30"]
    assert set(described) == there
    assert {one["format"] for one in described.values()} == {"csv", "xlsx", "json", "markdown"}
    for path, one in described.items():
        data = (tmp_path / path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (one["bytes"], one["sha256"])
        assert {"rows", "columns"} <= set(one)


@pytest.mark.slow
def test_what_would_not_change_is_left_alone(warehouse, tmp_path):
    formats = ["csv", "parquet", "json", "xlsx", "markdown"]

    def stats():
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.rglob("*")}

    export_reports(Layout(warehouse), tmp_path, formats)
    before = stats()
    export_reports(Layout(warehouse), tmp_path, formats)
    assert {path: stat for path, stat in stats().items() if path != tmp_path} == {
        path: stat for path, stat in before.items() if path != tmp_path
    }
    (tmp_path / "develop" / "summary.md").write_text("spoilt")
    export_reports(Layout(warehouse), tmp_path, formats)
    assert (tmp_path / "develop" / "summary.md").read_text() != "spoilt"


def test_several_processes_write_what_one_does(warehouse, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.report.export.MANY_SPECS", 1)
    formats = ["csv", "parquet", "markdown", "html"]
    # In a folder whose name is no text.
    odd = tmp_path / os.fsdecode(b"\xff")
    one, several = tmp_path / "one", odd / "several"
    alone = export_reports(Layout(warehouse), one, formats, jobs=1)
    shutil.copytree(warehouse, odd / "warehouse", symlinks=True)

    assert export_reports(Layout(odd / "warehouse"), several, formats, jobs=2) == alone
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    assert sorted(files) == sorted(path.relative_to(several) for path in several.rglob("*") if path.is_file())
    assert [path for path in files if (one / path).read_bytes() != (several / path).read_bytes()] == []


def test_the_columns_of_a_report_are_the_same_whatever_its_rows(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path, ["parquet"], ["develop", "develop-2025-03-16"])
    for report in REPORTS:
        one, other = (
            pq.read_schema(tmp_path / snapshot / f"{report}.parquet") for snapshot in ("develop", "develop-2025-03-16")
        )
        assert one == other, report
