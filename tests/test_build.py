"""Builds: what is loaded, what is refused, and that nothing depends on what was built before."""

import datetime as dt
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.build import build
from pipeline.errors import DuplicatePageError, SourceError
from pipeline.layout import Layout
from pipeline.sources.files import LARGEST_PAGE
from pipeline.store import batches as reader
from pipeline.store import parquet as write
from pipeline.store.history import Wishes
from tests.makers import (
    ask,
    build_pages,
    build_text,
    make_hash,
    make_page,
    make_spec,
    parquet_bytes,
    rejects,
    rest_slow,
    thorough,
    write_page,
    write_pages,
)

GOOD = make_page([make_spec(number) for number in range(3)])


def test_a_page_that_cannot_be_read_is_a_reject_and_the_rest_is_loaded(tmp_path):
    source = tmp_path / "source"
    write_page(source, GOOD, "good.txt")
    write_page(source, "", "empty.md")
    write_page(source, "# README\n", "README.md")
    write_page(source, b"---\ntitle: \xff\nspec_details: []\n", "latin.md")
    write_page(source, "---\nspec_details: " + "[" * 5000 + "\n", "deep.md")
    (source / "dangling").symlink_to("nothing")
    large = write_page(source, "---\n", "large.md")
    os.truncate(large, LARGEST_PAGE + 1)

    summary = build([source], tmp_path / "warehouse", jobs=1)

    assert (summary.pages, summary.specs, summary.rejects, summary.passed_over) == (1, 3, 5, 1)
    assert [(path, place) for path, place, _ in rejects(tmp_path / "warehouse")] == [
        ("dangling", "file"),
        ("deep.md", "line 2"),
        ("empty.md", "file"),
        ("large.md", "file"),
        ("latin.md", "line 2"),
    ]


def test_an_empty_file_that_is_not_named_as_a_page_is_none(tmp_path):
    """As a site has them (``.nojekyll``), and the lock of a warehouse that another build wrote there."""
    source = tmp_path / "source"
    write_page(source, make_page([make_spec(1)]))
    for name in (".nojekyll", "assets/.gitkeep", "other/.lock"):
        write_page(source, "", name)
    summary = build([source], tmp_path / "w", jobs=1)

    assert (summary.pages, summary.rejects, summary.passed_over) == (1, 0, 3)
    write_page(source, "", "hdf5/specs.md")
    assert build([source], tmp_path / "w", jobs=1).rejects == 1


def test_specs_that_cannot_be_loaded_are_rejects_with_their_page(tmp_path):
    specs = [make_spec(1), make_spec(2, hash="short"), make_spec(3, stacks=[]), make_spec(4)]
    summary, warehouse = build_text(tmp_path, make_page(specs, meta={}))

    assert (summary.specs, summary.rejects) == (2, 2)
    assert ask(warehouse, "select place, snapshot, package, specs from rejects order by place") == [
        ("spec_details[1].hash", "develop", "hdf5", 1),
        ("spec_details[2].stacks", "develop", "hdf5", 1),
    ]
    assert ask(warehouse, "select specs, rejects from pages") == [(2, 2)]


def test_the_specs_of_a_page_without_a_title_are_counted(tmp_path):
    _, warehouse = build_text(tmp_path, GOOD.replace('title: "hdf5"\n', ""))

    assert ask(warehouse, "select place, specs from rejects") == [("title", 3)]


def test_a_hash_of_two_pages_stays_with_the_first(tmp_path):
    pages = {
        ("develop", "b"): [make_spec(1), make_spec(2)],
        ("develop", "a"): [make_spec(2), make_spec(3)],
        ("v1.0", "b"): [make_spec(1)],
    }
    warehouse = build_pages(tmp_path, pages)

    assert ask(warehouse, "select snapshot, package, hash from specs order by all") == [
        ("develop", "a", make_hash(2)),
        ("develop", "a", make_hash(3)),
        ("develop", "b", make_hash(1)),
        ("v1.0", "b", make_hash(1)),
    ]
    why = "the hash is already that of a spec of a, in the same snapshot: _cache/develop/a/specs.md keeps it"
    assert ask(warehouse, "select package, place, reason from rejects") == [
        ("b", f"spec_details[hash={make_hash(2)}]", why)
    ]
    assert ask(warehouse, "select package, specs, rejects from pages where snapshot = 'develop' order by 1") == [
        ("a", 2, 0),
        ("b", 1, 1),
    ]


def test_two_pages_of_one_package_that_differ_are_an_error_that_names_both(tmp_path):
    write_page(tmp_path, GOOD, "source/one.md")
    write_page(tmp_path, GOOD + "text after", "source/two.md")

    with pytest.raises(DuplicatePageError, match=r"one\.md and .*two\.md: .*'hdf5'.*'develop'"):
        build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)


def test_two_pages_with_the_same_bytes_are_one(tmp_path):
    write_page(tmp_path, GOOD, "source/one.md")
    write_page(tmp_path, GOOD, "source/two.md")
    summary = build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)

    assert (summary.pages, summary.repeated, summary.specs) == (1, 1, 3)
    assert ask(tmp_path / "warehouse", "select path from pages") == [("one.md",)]
    (tmp_path / "source/one.md").unlink()
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    assert ask(tmp_path / "warehouse", "select path from pages") == [("two.md",)]


@pytest.mark.parametrize(
    "snapshot",
    rest_slow(
        ["a/b", "ü☃", "100%", "..", "a b", "a=b", "a'b", 'a"b', "snapshot=x", "%41", "__HIVE_DEFAULT_PARTITION__"], 3
    ),
)
def test_odd_snapshot_names_come_back_as_they_were(tmp_path, snapshot):
    warehouse = build_pages(tmp_path / "snapshot=other", {(snapshot, "p"): [make_spec(1)]})

    assert ask(warehouse, "select distinct snapshot from spec_stacks") == [(snapshot,)]
    assert ask(warehouse, "select snapshot from pages") == [(snapshot,)]


def test_a_snapshot_name_that_no_file_can_have_is_a_reject(tmp_path):
    summary, warehouse = build_text(tmp_path, make_page([make_spec()], snapshot="s" * 300))

    assert (summary.specs, rejects(warehouse)[0][1]) == (0, "categories[1]")


def test_a_folder_without_pages_is_an_error_and_the_last_warehouse_stays(tmp_path):
    warehouse = build_pages(tmp_path, {("develop", "p"): [make_spec(1)]})
    write_page(tmp_path, "# README", "empty/README.md")

    with pytest.raises(SourceError, match="no cache page and no build-cache index was found"):
        build([tmp_path / "empty"], warehouse, jobs=1)
    assert ask(warehouse, "select count(*) from specs") == [(1,)]


def test_several_sources_make_one_warehouse(tmp_path):
    write_page(tmp_path, make_page([make_spec(1)], "a"), "one/page.md")
    write_page(tmp_path, make_page([make_spec(2)], "b"), "two/page.md")
    summary = build([tmp_path / "one", tmp_path / "two", tmp_path / "one"], tmp_path / "warehouse", jobs=1)

    assert (summary.pages, summary.repeated) == (2, 0)


def generate(seed, snapshots=2, packages=12):
    rng = random.Random(seed)
    number = 0
    pages = {}
    for snapshot in [f"develop-2025-01-{day:02}" for day in range(5, 5 + snapshots)]:
        for package in range(packages):
            specs = []
            for _ in range(rng.randint(0, 9)):
                number += 1
                stacks = rng.sample(["e4s", "hep", "radiuss", "root"], rng.randint(1, 4))
                specs.append(make_spec(number, stacks=stacks, versions=[f"1.{rng.randint(0, 3)}"]))
            pages[snapshot, f"p-{package}" if package % 2 else f"p{package}"] = specs
    return pages


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "files", "jobs"), [(1, 500, 1), (5000, 500, 1), (2**22, 3, 1), (20_000, 500, 2)])
def test_parquet_does_not_depend_on_batches_or_processes(tmp_path, monkeypatch, batch, files, jobs):
    monkeypatch.setattr(write, "GROUP_ROWS", 20)
    source = write_pages(tmp_path / "source", generate(1))
    build([source], tmp_path / "one", jobs=1)
    monkeypatch.setattr(reader, "BATCH_BYTES", batch)
    monkeypatch.setattr(reader, "BATCH_FILES", files)
    if jobs > 1:
        # Other processes have their own module: there the row groups are the usual ones.
        monkeypatch.setattr(write, "GROUP_ROWS", 122_880)
        build([source], tmp_path / "one", jobs=1)
        shutil.rmtree(tmp_path / "one")
        build([source], tmp_path / "one", jobs=1)
    build([source], tmp_path / "two", jobs=jobs)

    assert parquet_bytes(tmp_path / "two") == parquet_bytes(tmp_path / "one")


def test_rows_are_sorted_and_typed(tmp_path):
    import pyarrow.parquet as pq

    from pipeline.schema import SPEC_STACKS

    warehouse = build_pages(tmp_path, generate(2))
    for file in sorted((warehouse / "spec_stacks").glob("*/*.parquet")):
        table = pq.ParquetFile(file).read()
        keys = list(zip(*(table[name].to_pylist() for name in ("package", "hash", "stack")), strict=True))
        assert keys == sorted(set(keys))
        assert table.schema.names == [name for name in SPEC_STACKS.names if name != "snapshot"]
        assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"
        for column in SPEC_STACKS.columns:
            if column.name != "snapshot":
                field = table.schema.field(column.name)
                assert field.nullable == column.nullable
                assert field.metadata == {b"description": column.description.encode()}


class Edits:
    """Random edits of a folder of pages, each of a kind that a build must notice or may ignore."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.rng = random.Random(seed)
        self.number = 10_000

    def pages(self):
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def edit(self, kind):
        getattr(self, kind)(self.rng.choice(self.pages()))

    def fresh(self):
        self.number += 1
        return make_spec(self.number, versions=[f"1.{self.number % 10}"])

    def add(self, page):
        write_page(page.parent, make_page([self.fresh()], f"new{self.number}", "develop-2025-01-05"), f"n{self.number}")

    def add_snapshot(self, page):
        write_page(self.folder, make_page([self.fresh()], "p0", f"v{self.number}"), f"s{self.number}/page")

    def change(self, page):
        page.write_text(page.read_text().replace("ubuntu22.04", "ubuntu24.04", 1))

    def change_within_the_same_size_and_time(self, page):
        times = page.stat()
        page.write_text(page.read_text().replace("x86_64_v3", "x86_64_v4", 1))
        os.utime(page, ns=(times.st_atime_ns, times.st_mtime_ns))

    def touch(self, page):
        page.touch()

    def rewrite(self, page):
        text = page.read_bytes()
        page.unlink()
        page.write_bytes(text)

    def remove(self, page):
        if len(self.pages()) > 3:
            page.unlink()

    def remove_snapshot(self, page):
        mine = [other for other in self.pages() if other.parent.parent == page.parent.parent]
        if len(mine) < len(self.pages()):
            for other in mine:
                other.unlink()

    def rename(self, page):
        page.rename(page.with_name(f"{page.name}-{self.rng.randint(0, 9)}x"))

    def spoil(self, page):
        page.write_text(page.read_text().replace("spec_details: [", "spec_details: [[], ", 1))

    def spoil_whole(self, page):
        page.write_text(page.read_text().replace("title: ", "tile: "))

    def move(self, page):
        page.write_text(page.read_text().replace("develop-2025-01-05", "develop-2025-01-06"))

    def readme(self, page):
        write_page(page.parent, "# README", "README.md")

    def copy(self, page):
        shutil.copyfile(page, page.with_name(page.name + "-copy"))


DAY = dt.date(2025, 4, 1)
KINDS = [name for name in vars(Edits) if not name.startswith("_") and name not in ("pages", "edit", "fresh")]


def outcome(sources, warehouse):
    """The Parquet and changes that a build gives that takes its sources as they are, or the error it ends with."""
    try:
        build(sources, warehouse, jobs=1, wishes=Wishes(accept=frozenset(map(str, sources))), today=DAY)
    except (DuplicatePageError, SourceError) as error:
        return type(error)
    return parquet_bytes(warehouse), ask(warehouse, "from changes order by all")


@pytest.mark.slow
@thorough(2, 20)
@given(seed=st.integers(0, 2**32), kinds=st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), max_size=4))
def test_a_build_on_top_of_others_gives_what_a_build_from_nothing_gives(tmp_path_factory, seed, kinds):
    folder = tmp_path_factory.mktemp("edits")
    source = write_pages(folder / "source", generate(seed, snapshots=2, packages=3))
    edits = Edits(source, seed)
    build([source], folder / "warehouse", jobs=1, today=DAY)
    for turn, some in enumerate(kinds):
        for kind in some:
            edits.edit(kind)
        assert outcome([source], folder / "warehouse") == outcome([source], folder / f"from-nothing-{turn}")
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", rest_slow(KINDS, 5))
def test_each_kind_of_edit_is_noticed(tmp_path, kind):
    source = write_pages(tmp_path / "source", generate(7))
    build([source], tmp_path / "warehouse", jobs=1, today=DAY)
    Edits(source, 7).edit(kind)

    assert outcome([source], tmp_path / "warehouse") == outcome([source], tmp_path / "from-nothing")


@pytest.mark.slow
def test_an_incremental_database_holds_what_a_fresh_one_holds(tmp_path):
    source = write_pages(tmp_path / "source", generate(3, snapshots=4))
    build([source], tmp_path / "warehouse", jobs=1)
    edits = Edits(source, 3)
    for kind in ("change", "add_snapshot", "spoil", "remove_snapshot"):
        edits.edit(kind)
        summary = build([source], tmp_path / "warehouse", jobs=1)
        assert summary.failed == []
    build([source], tmp_path / "fresh", jobs=1)

    views = ask(tmp_path / "fresh", "select view_name from duckdb_views() where not internal")
    tables = ask(tmp_path / "fresh", "select table_name from duckdb_tables()")
    for (name,) in [*views, *tables]:
        query = f"select * from {name} order by all"
        assert ask(tmp_path / "warehouse", query) == ask(tmp_path / "fresh", query), name


def test_nothing_is_done_where_nothing_changed(tmp_path):
    source = write_pages(tmp_path / "source", generate(4))
    write_page(source, "", "empty.md")
    (source / "dangling").symlink_to("nothing")
    build([source], tmp_path / "warehouse", jobs=1)
    before = Layout(tmp_path / "warehouse").current
    again = build([source], tmp_path / "warehouse", jobs=1)

    assert again.rebuilt == 0
    assert Layout(tmp_path / "warehouse").current == before
    assert (again.specs, again.rejects) == (len(ask(tmp_path / "warehouse", "from specs")), 2)


def test_only_the_changed_snapshot_is_built_anew(tmp_path):
    source = write_pages(tmp_path / "source", generate(5, snapshots=5))
    build([source], tmp_path / "warehouse", jobs=1, today=DAY)
    Edits(source, 1).edit("change")

    assert build([source], tmp_path / "warehouse", jobs=1).rebuilt == 1


@pytest.mark.parametrize("damage", ["state", "truncate", "flip", "remove", "database", "garbage"])
def test_damage_is_noticed_and_mended(tmp_path, damage):
    source = write_pages(tmp_path / "source", generate(6))
    build([source], tmp_path / "warehouse", jobs=1)
    whole = parquet_bytes(tmp_path / "warehouse")
    current = Layout(tmp_path / "warehouse").current
    parquet = next(iter(current.folder.glob("spec_stacks/*/*.parquet")))
    if damage == "state":
        current.state.write_bytes(current.state.read_bytes()[:-5])
    elif damage == "truncate":
        os.truncate(parquet, 100)
    elif damage == "flip":
        data = bytearray(parquet.read_bytes())
        data[200] ^= 1
        parquet.write_bytes(data)
    elif damage == "remove":
        parquet.unlink()
    elif damage == "database":
        os.truncate(current.database, 5000)
    else:
        current.database.write_bytes(b"garbage")
    summary = build([source], tmp_path / "warehouse", jobs=1)

    assert summary.rebuilt == summary.snapshots
    assert parquet_bytes(tmp_path / "warehouse") == whole
    assert len(ask(tmp_path / "warehouse", "from specs")) == summary.specs


@pytest.mark.slow
def test_a_state_of_another_version_is_not_trusted(tmp_path, monkeypatch):
    source = write_pages(tmp_path / "source", generate(6))
    build([source], tmp_path / "warehouse", jobs=1)
    monkeypatch.setattr("pipeline.store.state.__version__", "0.0.0")

    assert build([source], tmp_path / "warehouse", jobs=1).rebuilt == 2


def test_a_state_is_of_the_code_of_every_stage(tmp_path):
    """A change of any module or query makes another fingerprint: stale state is never trusted."""
    root = Path(pipeline.__file__).parent
    shutil.copytree(root, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root.parent / "sql", tmp_path / "sql")
    code = "from pipeline.store.state import ALL, fingerprint; print(fingerprint(ALL))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def take_print():
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True).stdout

    prints = [take_print()]
    for name in ("pipeline/spack/versions.py", "pipeline/store/merge.py", "sql/views/008_specs.sql"):
        path = tmp_path / name
        path.write_text(path.read_text() + "\n")
        prints.append(take_print())
    assert len(set(prints)) == 4
