"""A workbook says what the views say, holds no formula, and lists what Excel cannot hold."""

import datetime as dt
import json

import duckdb
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from pipeline.layout import Layout
from pipeline.report import workbook as xlsx
from pipeline.report.export import REPORTS, export_reports
from pipeline.report.workbook import ABOUT, MAX_NAME, MAX_TEXT, cut_text, name_sheet, write_workbook
from tests.makers import ask, build_pages, make_spec, thorough

STACKS = ["=1+1", "@x", "https://example.org", "e4s"]
PAGES = {
    ("develop", "=cmd|' /C calc'!A0"): [make_spec(1, stacks=STACKS), make_spec(2, stacks=["e4s", "root"])],
    ("develop", "0123"): [make_spec(3, versions=["2e5"], stacks=["e4s"])],
    ("develop", "<script>_x0041_"): [make_spec(4, stacks=["@x"])],
    ("develop-2025-03-30", "hdf5"): [make_spec(5)],
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return build_pages(tmp_path_factory.mktemp("xlsx"), PAGES)


@pytest.fixture(scope="module")
def book(warehouse):
    export_reports(Layout(warehouse), formats=["xlsx"], snapshots=["develop"])
    return openpyxl.load_workbook(warehouse / "reports" / "develop" / "reports.xlsx")


def cells_of(sheet):
    return [[unescape(cell) if isinstance(cell, str) else cell for cell in row] for row in sheet.values]


def write(path, query, name="cells"):
    with duckdb.connect() as connection:
        return write_workbook(connection, path, "develop", [(name, query)])


def test_a_sheet_per_report_and_one_about_them(book):
    assert book.sheetnames == [ABOUT, *REPORTS]
    listed = {row[0]: (*row[:4], row[4] or "") for row in list(book[ABOUT].values)[3:]}
    for report in REPORTS:
        rows = cells_of(book[report])
        assert listed[report] == (report, report, len(rows) - 1, len(rows[0]), "")


@pytest.mark.parametrize("report", [name for name in REPORTS if name != "rejects"])
def test_a_sheet_is_its_view_for_one_snapshot(warehouse, book, report):
    expected = ask(warehouse, f"select * from {report} where snapshot = 'develop'")

    def plain(row):
        cells = [json.dumps(cell, separators=(",", ":")) if isinstance(cell, list) else cell for cell in row]
        return str([float(cell) if isinstance(cell, int) else cell for cell in cells])

    assert sorted(map(plain, cells_of(book[report])[1:])) == sorted(map(plain, expected))


def test_no_text_is_a_formula_a_link_or_a_number(book):
    for sheet in book:
        assert not sheet._hyperlinks
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type in ("n", "s", "inlineStr")
    packages = {row[1] for row in cells_of(book["coverage_by_stack"])[1:]}
    assert packages == {"=cmd|' /C calc'!A0", "0123", "<script>_x0041_"}
    assert cells_of(book["matrix_by_stack"])[0] == ["snapshot", "package", "=1+1", "@x", "e4s", "https://example.org"]


def test_headers_are_frozen_and_filtered_and_matrices_coloured(book):
    for report in REPORTS:
        sheet = book[report]
        is_matrix = report.startswith("matrix_")
        assert sheet.freeze_panes == ("C2" if is_matrix else "A2")
        assert sheet.auto_filter.ref == sheet.dimensions
        ranges = [str(area.sqref) for area in sheet.conditional_formatting]
        assert bool(ranges) == is_matrix
        if is_matrix:
            assert ranges == ["C2:" + sheet.dimensions.split(":")[1]]
            ((rule,),) = (area.rules for area in sheet.conditional_formatting)
            assert rule.type == "colorScale"
            assert len(rule.colorScale.color) == 3


def test_the_same_rows_give_the_same_bytes(warehouse, tmp_path, monkeypatch):
    layout = Layout(warehouse)
    first = export_reports(layout, tmp_path / "a", ["xlsx"])
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    second = export_reports(layout, tmp_path / "b", ["xlsx"])

    assert [one.sha256 for one in first] == [one.sha256 for one in second]
    book = openpyxl.load_workbook(tmp_path / "a" / "develop" / "reports.xlsx")
    assert book.properties.created == dt.datetime(2000, 1, 1)


def test_what_excel_cannot_hold_is_cut_and_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(xlsx, "MAX_ROWS", 4)
    monkeypatch.setattr(xlsx, "MAX_COLUMNS", 2)
    query = "select range as number, repeat('x', 32766 + range) as text, 7 as more from range(5)"
    (sheet,) = write(tmp_path / "cut.xlsx", query)
    book = openpyxl.load_workbook(tmp_path / "cut.xlsx")
    rows = cells_of(book["cells"])

    assert (sheet.rows, sheet.written_rows, sheet.cut_columns, sheet.cut_texts) == (5, 3, 1, 1)
    assert rows[0] == ["number", "text"]
    assert [(row[0], len(row[1]), row[1][-1]) for row in rows[1:]] == [
        (0, 32766, "x"),
        (1, 32767, "x"),
        (2, 32767, "…"),
    ]
    assert list(book[ABOUT].values)[3][4] == "2 rows left out, 1 column left out, 1 text cut to 32,767 characters"
    assert sheet.describe_cuts() == list(book[ABOUT].values)[3][4]


def test_numbers_are_exact(tmp_path):
    write(tmp_path / "n.xlsx", "select 9007199254740992, 9007199254740993, 0.1::double, 'nan'::double, null, true, []")
    row = cells_of(openpyxl.load_workbook(tmp_path / "n.xlsx")["cells"])[1]

    assert row == [9007199254740992, "9007199254740993", 0.1, "nan", None, "true", "[]"]


@thorough(8, 40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_any_text_survives(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("xlsx") / "any.xlsx"
    with duckdb.connect() as connection:
        connection.execute("create table texts (number bigint, text varchar)")
        connection.executemany("insert into texts values (?, ?)", list(enumerate(texts)))
        write_workbook(connection, path, "develop", [("texts", "select * from texts order by number")])
    read = [row[1] for row in cells_of(openpyxl.load_workbook(path)["texts"])[1:]]

    assert read == texts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6))
def test_names_of_sheets_are_those_that_excel_takes(reports):
    taken = [ABOUT]
    for report in reports:
        taken.append(name_sheet(report, taken))

    assert len({name.lower() for name in taken}) == len(taken)
    for name in taken:
        assert 0 < len(name.encode("utf-16-le")) <= 2 * MAX_NAME
        assert not set(name) & set("[]:*?/\\")
        assert name[0] != "'" != name[-1]
        assert name.lower() != "history"


@given(st.text(st.sampled_from("a😀ß"), max_size=12), st.integers(1, 12))
def test_a_cut_text_is_as_long_as_excel_counts(text, most):
    cut = cut_text(text, most)

    assert len(cut.encode("utf-16-le")) <= 2 * most
    if len(text.encode("utf-16-le")) <= 2 * most:
        assert cut == text
    else:
        assert cut.endswith("…")
        assert text.startswith(cut[:-1])
        assert len(cut.encode("utf-16-le")) >= 2 * (most - 1)
    assert cut_text("x" * (MAX_TEXT + 1))[-2:] == "x…"


def test_a_workbook_that_cannot_be_written_is_an_error_of_its_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "none" / "x.xlsx", "select 1 as one")

    assert str(tmp_path / "none") in caught.value.filename
