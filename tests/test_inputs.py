"""An export makes again what would change, and nothing else."""

import shutil

import pytest

from pipeline.build import build
from pipeline.layout import Layout
from pipeline.report import export
from pipeline.report.export import export_reports
from tests.makers import make_spec, rest_slow, write_pages

PAGES = {(name, "hdf5"): [make_spec(1)] for name in ("develop", "develop-2025-03-30")}


@pytest.fixture
def source(tmp_path):
    return write_pages(tmp_path / "source", PAGES)


@pytest.fixture
def layout(tmp_path, source):
    build([source], tmp_path / "w", jobs=1)
    return Layout(tmp_path / "w")


@pytest.fixture
def made(monkeypatch):
    """The snapshots whose reports are made."""
    names, make = [], export.export_snapshot

    def note(connection, reports, snapshot, formats):
        names.append(snapshot)
        return make(connection, reports, snapshot, formats)

    monkeypatch.setattr(export, "export_snapshot", note)
    return names


def read(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_there_is_not_made_again_and_is_named_as_before(layout, made):
    first = export_reports(layout, formats=["csv", "xlsx"])
    before, names = read(layout.reports), list(made)
    second = export_reports(layout, formats=["xlsx", "csv"])

    assert names == made == ["develop-2025-03-30", "develop"]
    assert second == first
    assert read(layout.reports) == before


@pytest.mark.parametrize(
    "change", rest_slow(["edited", "missing", "other formats", "other folder", "no state", "damaged note"], 2)
)
def test_what_would_be_other_is_made_again(tmp_path, layout, made, change):
    export_reports(layout, formats=["csv"])
    before = read(layout.reports)
    made.clear()
    formats, out = ["csv"], None
    file = layout.reports / "develop" / "gaps.csv"
    if change == "other formats":
        formats = ["csv", "json"]
    elif change == "other folder":
        out = tmp_path / "out"
    elif change == "edited":
        file.write_bytes(file.read_bytes().replace(b"s", b"z"))
    elif change == "missing":
        file.unlink()
    elif change == "no state":
        layout.current.state.unlink()
    else:
        layout.exports.write_text('{"a": 1')
    export_reports(layout, out, formats)

    assert made == (["develop"] if change in ("edited", "missing") else ["develop-2025-03-30", "develop"])
    if change not in ("other formats", "other folder"):
        assert read(layout.reports) == before


@pytest.mark.slow
def test_a_build_that_changes_something_has_its_reports_made(layout, source, made):
    export_reports(layout, formats=["csv"])
    build([source], layout.root, jobs=1)
    export_reports(layout, formats=["csv"])
    assert len(made) == 2, "nothing changed"
    write_pages(source, {("develop", "zlib"): [make_spec(2)]})
    build([source], layout.root, jobs=1)
    exports = export_reports(layout, formats=["csv"])

    assert made[2:] == ["develop-2025-03-30", "develop"]
    fresh = layout.root.parent / "fresh"
    build([source], fresh, jobs=1)
    assert export_reports(Layout(fresh), formats=["csv"]) == exports


def test_a_warehouse_that_may_not_be_written_is_exported_each_time(tmp_path, layout, made):
    layout.exports.mkdir()
    for _ in range(2):
        export_reports(layout, tmp_path / "out", ["csv"])
    assert len(made) == 4
    shutil.rmtree(layout.exports)


def test_what_another_warehouse_wrote_to_the_folder_is_made_again(tmp_path, layout, made):
    other = write_pages(tmp_path / "other", {(name, "zlib"): [make_spec(2)] for name, _ in PAGES})
    build([other], tmp_path / "v", jobs=1)
    out = tmp_path / "out"
    first = export_reports(layout, out, ["csv"])
    before = read(out)
    export_reports(Layout(tmp_path / "v"), out, ["csv"])
    assert read(out) != before
    made.clear()

    assert export_reports(layout, out, ["csv"]) == first
    assert made == ["develop-2025-03-30", "develop"]
    assert read(out) == before


def test_what_an_interrupted_export_wrote_is_made_again(layout, monkeypatch):
    export_reports(layout, formats=["csv"])
    before, make = read(layout.reports), export.export_snapshot

    def interrupt(shared, reports, snapshot, formats):
        if snapshot == "develop":
            raise KeyboardInterrupt
        return make(shared, reports, snapshot, formats)

    with monkeypatch.context() as changed:
        changed.setattr(export, "export_snapshot", interrupt)
        with pytest.raises(KeyboardInterrupt):
            export_reports(layout, formats=["csv", "json"])
    assert (layout.reports / "develop-2025-03-30" / "gaps.json").is_file()
    export_reports(layout, formats=["csv"])

    assert read(layout.reports) == before
