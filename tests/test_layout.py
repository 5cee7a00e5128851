"""One pointer publishes a build; what is left over goes; folders can be moved and copied."""

import os
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.disk import renew_file
from pipeline.errors import WarehouseError
from pipeline.layout import Layout, partition_name
from pipeline.report.export import export_reports
from tests.makers import ask, build_pages, make_spec, write_pages


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_snapshots_name_survives_as_a_folder(snapshot):
    name = partition_name(snapshot)

    assert unquote(name.removeprefix("snapshot=")) == snapshot
    assert "/" not in name


def builds(warehouse):
    return sorted(folder.name for folder in (warehouse / ".builds").iterdir())


@pytest.fixture
def warehouse(tmp_path):
    return build_pages(tmp_path, {("develop", "p"): [make_spec(1)]})


def rebuild(tmp_path, number):
    write_pages(tmp_path / "source", {("develop", "p"): [make_spec(number)]})
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)


def test_the_published_build_and_the_one_before_it_are_kept(tmp_path, warehouse):
    assert builds(warehouse) == ["000001"]
    for number in range(2, 6):
        rebuild(tmp_path, number)
    assert builds(warehouse) == ["000004", "000005"]


def test_what_interrupted_builds_left_is_removed(tmp_path, warehouse):
    (warehouse / ".builds" / "000002.unfinished" / "scratch").mkdir(parents=True)
    (warehouse / ".builds" / "000007").mkdir()
    (warehouse / ".current.new").symlink_to("x")
    (warehouse / ".mine.new").write_text("not of a build")
    rebuild(tmp_path, 1)

    assert builds(warehouse) == ["000001"]
    assert not os.path.lexists(warehouse / ".current.new")
    assert (warehouse / ".mine.new").exists()


@pytest.mark.parametrize("name", ["pages", "rejects", "warehouse.duckdb"])
def test_a_build_replaces_nothing_but_a_warehouse(tmp_path, name):
    write_pages(tmp_path / "source", {("develop", "p"): [make_spec(1)]})
    mine = tmp_path / "w" / name / "mine.md" if "." not in name else tmp_path / "w" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(WarehouseError, match=f"{tmp_path / 'w' / name}: is no part of a warehouse"):
        build([tmp_path / "source"], tmp_path / "w", jobs=1)

    assert mine.read_text() == "mine"


def test_a_build_never_takes_its_own_source_away(tmp_path):
    write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(1)]})
    before = sorted(tmp_path.rglob("*.md"))
    with pytest.raises(WarehouseError):
        build([tmp_path / "pages"], tmp_path, jobs=1)

    assert sorted(tmp_path.rglob("*.md")) == before


def test_links_are_relative_and_a_moved_folder_works(tmp_path, warehouse):
    moved = tmp_path / "else" / "where"
    moved.parent.mkdir()
    shutil.move(warehouse, moved)

    assert ask(moved, "select count(*) from specs") == [(1,)]
    assert len(list(moved.glob("spec_stacks/*/*.parquet"))) == 1


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_works_and_can_be_built_again(tmp_path, warehouse, links):
    copy = tmp_path / "copy"
    shutil.copytree(warehouse, copy, symlinks=links)
    assert ask(copy, "select count(*) from specs") == [(1,)]
    write_pages(tmp_path / "source", {("develop", "q"): [make_spec(2)]})
    build([tmp_path / "source"], copy, jobs=1)

    assert ask(copy, "select count(*) from specs") == [(2,)]
    assert (copy / ".current").is_symlink()
    assert builds(copy) in (["000001"], ["000001", "000002"])


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path, warehouse):
    (warehouse / "README.md").write_text("mine")
    (warehouse / "reports").mkdir()
    rebuild(tmp_path, 3)

    assert (warehouse / "README.md").read_text() == "mine"
    assert (warehouse / "reports").is_dir()


def test_a_file_is_renewed_at_once_or_left_alone(tmp_path):
    path = tmp_path / "made" / "index.json"
    renew_file(path, b"one")
    before = path.stat()

    renew_file(path, b"one")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    renew_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_ino != before.st_ino, "a reader of the old one goes on with it"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_published_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """Files, then their folder, then the rename, then the folder above: of builds, reports and single files."""
    done = []
    flush, rename = os.fsync, os.replace

    def note_flush(descriptor):
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    def note_rename(path, target):
        done.append(("renamed", str(target)))
        rename(path, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(Path, "replace", note_rename)
    warehouse = build_pages(tmp_path, {("develop", "p"): [make_spec(1)]})
    reports = export_reports(Layout(warehouse), formats=["csv"])
    current = Layout(warehouse).current.folder

    def before(place):
        at = done.index(("renamed", str(place)))
        return done[:at], done[at + 1]

    flushed, after = before(current)
    unfinished = current.with_name(current.name + ".unfinished")
    assert {str(unfinished / path.relative_to(current)) for path in current.rglob("*")} <= set(flushed)
    assert after == str(current.parent)
    flushed, after = before(warehouse / "reports" / "develop")
    assert sum(str(one).endswith(".csv") for one in flushed) == len(reports)
    assert after == str(warehouse / "reports")
    flushed, after = before(warehouse / "reports" / "index.json")
    assert flushed[-1] == str(warehouse / "reports" / ".index.json.new")
