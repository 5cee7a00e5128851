"""What stays of a warehouse that its sources do not give today, and what the table sources says of them."""

import datetime as dt
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.errors import SourceError, WarehouseError
from pipeline.layout import BuildPaths, Layout
from pipeline.sources.buildcache import ALL, Choice
from pipeline.sources.files import UNLISTED, Entry, IndexRole, Source
from pipeline.specs.check import Reject
from pipeline.store.history import NO_WISHES, Found, Wishes, settle
from pipeline.store.published import Held
from pipeline.store.state import LOADED, SHRUNK, STALE, Part, Seen, SourceRow
from tests.commands import run
from tests.makers import ask, make_index, make_page, make_record, make_spec, write_page, write_pages, write_v2, write_v3

MONDAY, TUESDAY, WEDNESDAY = (dt.date(2025, 3, day) for day in (3, 4, 5))
DATA = Path(__file__).parent / "data"
SPECS = [make_spec(number) for number in range(8)]


def index_of(specs):
    return make_index([make_record(spec) for spec in specs])


def list_sources(warehouse, columns="snapshot, stack, state, read_on, last_seen, specs"):
    return ask(warehouse, f"select {columns} from sources order by source, snapshot, stack")


def list_specs(warehouse, snapshot="develop"):
    query = f"select package, hash, stack from spec_stacks where snapshot = '{snapshot}' order by all"
    return ask(warehouse, query)


@pytest.fixture
def folder(tmp_path):
    """Sources: two mirrors of one snapshot, and a site with pages of another."""
    write_v2(tmp_path / "develop" / "e4s", index_of(SPECS))
    write_v2(tmp_path / "develop" / "radiuss", index_of(SPECS[:6]))
    write_pages(tmp_path / "site", {("v1", "hdf5"): SPECS, ("v1", "zlib"): [make_spec(90), make_spec(91)]})
    return tmp_path


class Warehouse:
    """A warehouse that is built again and again from the same sources, each time on the day that is given."""

    def __init__(self, folder, *sources):
        self.path = folder / "warehouse"
        self.sources = [str(source) for source in sources]

    def build(self, day=MONDAY, choice=ALL, **wishes):
        names = {name: frozenset(value) for name, value in wishes.items() if name != "keep"}
        wished = Wishes(wishes.get("keep"), **names)
        return build(self.sources, self.path, jobs=1, choice=choice, wishes=wished, today=day)

    def list(self, columns="snapshot, stack, state, read_on, last_seen, specs"):
        return list_sources(self.path, columns)


@pytest.fixture
def warehouse(folder):
    one = Warehouse(folder, folder / "develop" / "e4s", folder / "develop" / "radiuss", folder / "site")
    one.build()
    return one


def test_what_each_source_gave_is_a_row(warehouse, folder):
    assert warehouse.list("source, kind, snapshot, stack, state, read_on, last_seen, records, specs, reason") == [
        (f"{folder}/develop/e4s", "build cache", "develop", "e4s", "loaded", MONDAY, None, 8, 8, None),
        (f"{folder}/develop/radiuss", "build cache", "develop", "radiuss", "loaded", MONDAY, None, 6, 6, None),
        (f"{folder}/site", "pages", "v1", None, "loaded", MONDAY, None, 10, 10, None),
    ]


@pytest.mark.slow
def test_an_index_that_cannot_be_read_leaves_its_last_good_state(warehouse, folder):
    before = list_specs(warehouse.path)
    write_page(folder, "{", "develop/e4s/build_cache/index.json")
    write_page(folder, "", "develop/e4s/build_cache/index.json.hash")
    summary = warehouse.build(TUESDAY)

    assert list_specs(warehouse.path) == before
    assert not summary.is_whole(strict=False)
    assert summary.list_troubles()[0].startswith(f"stale: {folder}/develop/e4s: develop/e4s: ")
    assert warehouse.list()[0] == ("develop", "e4s", "stale", MONDAY, MONDAY, 8)
    assert ask(warehouse.path, "select stack from loaded_sources where snapshot = 'develop'") == [("radiuss",)]
    assert ask(warehouse.path, "select count(*) from rejects where stack = 'e4s'") == [(1,)]
    assert summary.failed == []

    # Another day, and another change beside it: still the same.
    write_v2(folder / "develop" / "radiuss", index_of(SPECS[:7]))
    warehouse.build(WEDNESDAY)
    assert warehouse.list()[:2] == [
        ("develop", "e4s", "stale", MONDAY, MONDAY, 8),
        ("develop", "radiuss", "loaded", WEDNESDAY, None, 7),
    ]

    write_v2(folder / "develop" / "e4s", index_of(SPECS))
    assert warehouse.build(WEDNESDAY).is_whole(strict=True)
    # The bytes of Monday are back.
    assert warehouse.list()[0] == ("develop", "e4s", "loaded", MONDAY, None, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("---\ntitle: zlib\ncategories: [package, v1]\nspec_details: 3\n---\n", "is not a list"),
        ("---\n", "is no page any more"),
        ("", "is empty"),
    ],
)
def test_a_page_that_is_rejected_whole_leaves_its_last_good_state_and_one_with_a_bad_spec_does_not(
    warehouse, folder, text, reason
):
    before = list_specs(warehouse.path, "v1")
    write_page(folder, text, "site/_cache/v1/zlib/specs.md")
    warehouse.build(TUESDAY)

    assert list_specs(warehouse.path, "v1") == before
    (row,) = warehouse.list("state, specs, last_seen, reason")[2:]
    assert row[:3] == ("stale", 10, MONDAY)
    assert row[3].startswith("1 of 2 pages, zlib the first: ")
    assert reason in row[3]
    states = ask(warehouse.path, "select package, state from pages where snapshot = 'v1' order by package")
    assert states == [("hdf5", "loaded"), ("zlib", "stale")]
    assert ask(warehouse.path, "select package from loaded_sources where snapshot = 'v1'") == [("hdf5",)]

    page = make_page([make_spec(90), {**make_spec(91), "hash": "short"}], "zlib", "v1")
    write_page(folder, page, "site/_cache/v1/zlib/specs.md")
    assert warehouse.build(TUESDAY).is_whole(strict=False)
    assert ("zlib", make_spec(91)["hash"], "e4s") not in list_specs(warehouse.path, "v1")


@pytest.mark.slow
def test_mirrors_of_one_shape_that_give_the_same_stack_do_not_stand_for_each_other(tmp_path):
    ours, theirs = index_of(SPECS[:6]), index_of([make_spec(number) for number in range(20, 22)])
    write_v2(tmp_path / "ours/v1/e4s", ours)
    write_v2(tmp_path / "theirs/v1/e4s", theirs)
    sources = [tmp_path / "ours", tmp_path / "theirs"]
    one = Warehouse(tmp_path, *sources)
    summary = one.build()
    everything = list_specs(one.path, "v1")
    assert (summary.indexes, summary.pages, summary.specs, summary.failed) == (2, 0, 8, [])

    # What one of them gave stays, once, however often and in whatever order it is built.
    write_page(tmp_path, "{", "theirs/v1/e4s/build_cache/index.json")
    for day, order in ((TUESDAY, sources), (WEDNESDAY, sources), (WEDNESDAY, sources[::-1])):
        one.sources = [str(source) for source in order]
        summary = one.build(day)
        assert list_specs(one.path, "v1") == everything
        assert (summary.indexes, summary.pages, summary.specs, summary.failed) == (2, 0, 8, [])
        assert one.list("state, specs, read_on, last_seen") == [
            ("loaded", 6, MONDAY, None),
            ("stale", 2, MONDAY, MONDAY),
        ]

    # Alone it goes by its path alone, and its bytes are those of Monday.
    one.sources = [str(sources[0])]
    assert one.build(WEDNESDAY).unnamed == [str(sources[1])]
    assert one.list("state, specs, read_on") == [("loaded", 6, MONDAY)]


def test_a_source_that_is_new_and_broken_does_not_hold_what_another_had(tmp_path):
    write_v2(tmp_path / "ours/v1/e4s", index_of(SPECS[:6]))
    one = Warehouse(tmp_path, tmp_path / "ours")
    one.build()
    write_v2(tmp_path / "ours/v1/e4s", index_of(SPECS[1:7]))
    write_page(tmp_path, "{", "theirs/v1/e4s/build_cache/index.json")
    one.sources.append(str(tmp_path / "theirs"))
    one.build(TUESDAY)

    assert one.list("state, specs") == [("loaded", 6), ("failed", None)]
    assert {hash for _, hash, _ in list_specs(one.path, "v1")} == {spec["hash"] for spec in SPECS[1:7]}


def test_a_file_that_is_gone_is_gone(warehouse, folder):
    (folder / "site/_cache/v1/zlib/specs.md").unlink()
    summary = warehouse.build(TUESDAY)

    assert summary.is_whole(strict=True)
    assert {package for package, *_ in list_specs(warehouse.path, "v1")} == {"hdf5"}
    # What is left has the bytes that it had on Monday.
    assert warehouse.list()[2] == ("v1", None, "loaded", MONDAY, None, 8)


@pytest.mark.parametrize("how", ["gone", "emptied"])
def test_a_mirror_that_gives_nothing_any_more_is_stale(warehouse, folder, how):
    before = list_specs(warehouse.path)
    shutil.rmtree(folder / "develop/e4s")
    if how == "emptied":
        (folder / "develop/e4s").mkdir()
    summary = warehouse.build(TUESDAY)

    assert list_specs(warehouse.path) == before
    assert warehouse.list()[0][:3] == ("develop", "e4s", "stale")
    assert not summary.is_whole(strict=False)


def test_a_source_that_never_gave_anything_is_failed_or_empty(folder):
    (folder / "nothing").mkdir()
    one = Warehouse(folder, folder / "site", folder / "missing", folder / "nothing")
    summary = one.build()

    assert one.list("source, kind, snapshot, state, reason") == [
        (f"{folder}/missing", None, None, "failed", "no such file or folder"),
        (f"{folder}/nothing", None, None, "empty", "is an empty folder"),
        (f"{folder}/site", "pages", "v1", "loaded", None),
    ]
    assert not summary.is_whole(strict=False)


def test_exit_status_3_names_what_failed_and_1_publishes_nothing(folder):
    done = run("build", folder / "site", folder / "missing", "--warehouse", folder / "w")
    assert (done.returncode, done.stderr) == (3, f"failed: {folder}/missing: no such file or folder\n")

    digest = ask(folder / "w", "select count(*) from spec_stacks")
    done = run("build", folder / "missing", folder / "gone", "--warehouse", folder / "w")
    assert done.returncode == 1
    assert done.stderr == (
        f"spack-warehouse: {folder}/missing: no such file or folder; {folder}/gone: no such file or folder\n"
    )
    assert ask(folder / "w", "select count(*) from spec_stacks") == digest


def test_an_index_alone_that_is_damaged_publishes_nothing(folder):
    mirror = write_v3(folder / "alone/develop/e4s", index_of(SPECS))
    one = Warehouse(folder, mirror)
    one.build()
    for blob in (mirror / "blobs").rglob("*"):
        if blob.is_file():
            blob.write_bytes(b"{}")
    with pytest.raises(SourceError, match="is truncated or altered"):
        one.build(TUESDAY)
    assert one.list()[0][:4] == ("develop", "e4s", "loaded", MONDAY)


def test_an_optional_source_may_fail_and_an_empty_one_fails_only_when_strict(folder):
    (folder / "nothing").mkdir()
    sources = "sources:\n- path: site\n- {path: missing, optional: true}\n- path: nothing\n"
    write_page(folder, sources, "sources.yaml")
    command = ["build", folder / "sources.yaml", "--warehouse", folder / "w"]
    done = run(*command)
    assert done.returncode == 0
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["failed", "empty"]
    assert run(*command, "--strict").returncode == 3


@pytest.mark.slow
def test_what_shrank_is_not_believed_until_it_is_accepted(warehouse, folder):
    before = list_specs(warehouse.path)
    write_v2(folder / "develop" / "e4s", index_of(SPECS[:3]))
    write_page(folder, make_page(SPECS[:2], "hdf5", "v1"), "site/_cache/v1/hdf5/specs.md")
    summary = warehouse.build(TUESDAY)

    assert list_specs(warehouse.path) == before
    assert warehouse.list("state, specs, last_seen, reason") == [
        ("shrunk", 8, MONDAY, "has 3 specs, and had 8; if that is right: --accept develop/e4s"),
        ("loaded", 6, None, None),
        ("shrunk", 10, MONDAY, "has 4 specs, and had 10; if that is right: --accept v1"),
    ]
    assert not summary.is_whole(strict=False)
    assert summary.failed == []
    assert not warehouse.build(WEDNESDAY).is_whole(strict=False)

    assert not warehouse.build(WEDNESDAY, accept=["develop/e4s"]).is_whole(strict=False)
    assert warehouse.list()[0] == ("develop", "e4s", "loaded", WEDNESDAY, None, 3)
    assert warehouse.build(WEDNESDAY, accept=["v1"]).is_whole(strict=True)
    assert warehouse.build(WEDNESDAY).is_whole(strict=True)
    assert {hash for _, hash, _ in list_specs(warehouse.path, "v1")} == {
        make_spec(number)["hash"] for number in (0, 1, 90, 91)
    }


@pytest.mark.parametrize(
    ("before", "after", "state"), [(231, 219, LOADED), (8, 4, LOADED), (9, 4, SHRUNK), (2, 0, SHRUNK)]
)
def test_shrunk_is_a_matter_of_share(tmp_path, before, after, state):
    one = Warehouse(tmp_path, tmp_path / "develop" / "e4s")
    for count in (before, after):
        write_v2(tmp_path / "develop" / "e4s", index_of([make_spec(number) for number in range(count)]))
        one.build()

    assert one.list("state, specs") == [(state, before if state == SHRUNK else after)]


@pytest.mark.slow
def test_snapshots_are_kept_until_they_are_let_go(warehouse, folder):
    before = list_specs(warehouse.path, "v1")
    warehouse.build(TUESDAY, keep=True)
    shutil.rmtree(folder / "site/_cache/v1")
    write_pages(folder / "site", {("v2", "hdf5"): SPECS})
    summary = warehouse.build(WEDNESDAY)

    assert summary.is_whole(strict=True)
    assert summary.list_troubles() == ["1 snapshot kept that no source gives today (--no-keep lets them go)"]
    assert list_specs(warehouse.path, "v1") == before
    assert ("v1", None, "loaded", MONDAY, TUESDAY, 10) in warehouse.list()
    # A kept snapshot was loaded whole: what it lacks it lacked.
    assert ask(warehouse.path, "select count(*) from loaded_sources where snapshot = 'v1'") == [(2,)]

    Layout(warehouse.path).current.state.write_bytes(b"damaged")
    warehouse.build(WEDNESDAY)
    assert list_specs(warehouse.path, "v1") == before

    warehouse.build(WEDNESDAY, choice=Choice(("v2",)))
    assert list_specs(warehouse.path, "v1") == before
    warehouse.build(WEDNESDAY)

    summary = warehouse.build(WEDNESDAY, drop=["v1"])
    assert summary.gone == ["v1"]
    assert summary.keeps
    assert list_specs(warehouse.path, "v1") == []


def test_without_keeping_the_snapshots_that_go_are_named(warehouse, folder):
    shutil.rmtree(folder / "site/_cache/v1")
    write_pages(folder / "site", {("v2", "hdf5"): SPECS})
    summary = warehouse.build(TUESDAY)

    assert summary.gone == ["v1"]
    assert summary.describe_changes() == "1 snapshot built anew, 1 snapshot gone: v1"


@pytest.mark.slow
def test_stacks_and_pages_that_leave_a_snapshot_that_stands_are_named(tmp_path):
    for number in range(12):
        write_v2(tmp_path / f"caches/develop/s{number:02}", index_of(SPECS))
    pages = {("develop", name): [make_spec(number)] for number, name in ((50, "hdf5"), (51, "zlib"), (52, "zstd"))}
    write_pages(tmp_path / "site", pages)
    one = Warehouse(tmp_path, tmp_path / "caches", tmp_path / "site")
    assert one.build().list_troubles() == []
    for number in range(1, 12):
        shutil.rmtree(tmp_path / f"caches/develop/s{number:02}")
    shutil.rmtree(tmp_path / "site/_cache/develop/zlib")
    summary = one.build(TUESDAY)

    stacks = ", ".join(f"s{number:02}" for number in range(1, 11))
    assert summary.is_whole(strict=True)
    assert summary.list_troubles() == [
        "no longer there, and gone from the warehouse: develop: 1 page: zlib",
        f"no longer there, and gone from the warehouse: develop: 11 stacks: {stacks} and 1 more",
    ]
    # A stack that moves to another layout stays, and a source that is no longer named says it all.
    write_v3(tmp_path / "caches/develop/s00", index_of(SPECS))
    (tmp_path / "caches/develop/s00/build_cache/index.json").unlink()
    one.sources.pop()
    assert one.build(TUESDAY).list_troubles() == [f"no longer named, and gone from the warehouse: {tmp_path}/site"]


def test_wishes_that_name_nothing_are_named(warehouse, folder):
    stated = "is no snapshot, SNAPSHOT/STACK or source here"
    summary = warehouse.build(TUESDAY, accept=["develop/e5s", "v1", "develop/e4s"], drop=["v1", "v7"])
    assert summary.list_troubles() == [
        f"--accept develop/e5s: {stated}; did you mean develop/e4s, develop or develop/radiuss?",
        "--drop v1: a source gives it today, and it stays",
        "--drop v7: is no snapshot of the warehouse",
    ]
    # In a build that has something to do, too.
    write_v2(folder / "develop/e4s", index_of(SPECS[1:]))
    assert warehouse.build(TUESDAY, accept=["x"]).list_troubles() == [f"--accept x: {stated}"]


@pytest.mark.slow
def test_no_keep_lets_go(warehouse, folder):
    warehouse.build(TUESDAY, keep=True)
    shutil.rmtree(folder / "site/_cache/v1")
    write_pages(folder / "site", {("v2", "hdf5"): SPECS})
    assert warehouse.build(TUESDAY).gone == []
    assert warehouse.build(TUESDAY, keep=False).gone == ["v1"]


def test_a_source_that_is_no_longer_named_is_gone_and_named(warehouse, folder):
    warehouse.sources.pop()
    summary = warehouse.build(TUESDAY)

    assert summary.unnamed == [f"{folder}/site"]
    assert f"no longer named, and gone from the warehouse: {folder}/site" in summary.list_troubles()
    assert summary.gone == ["v1"]


def test_a_warehouse_that_0_1_0_wrote_keeps_what_it_has(tmp_path):
    with tarfile.open(DATA / "warehouse-0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path / "warehouse", filter="data")
    old = {snapshot: ask_parquet(tmp_path / "warehouse", snapshot) for snapshot in ("develop-2025-03-16", "v1.1.0")}
    one = Warehouse(tmp_path, write_pages(tmp_path / "site", {("v2", "hdf5"): SPECS}))
    summary = one.build(TUESDAY, keep=True)

    assert summary.failed == []
    assert {snapshot: ask_parquet(tmp_path / "warehouse", snapshot) for snapshot in old} == old
    assert one.list("source, kind, snapshot, stack, state, read_on, last_seen, specs") == [
        (f"{tmp_path}/site", "pages", "v2", None, "loaded", TUESDAY, None, 8),
        (None, "pages", "develop-2025-03-16", None, "loaded", None, None, 32),
        (None, "build cache", "v1.1.0", "e4s", "loaded", None, None, 14),
    ]
    assert set(one.list("spack_oldest, spack_newest")) == {(None, None)}
    edges = ask(one.path, "select count(*), count(distinct hash) from dependencies where snapshot = 'v1.1.0'")
    assert edges[0][0] > 14


def ask_parquet(warehouse, snapshot):
    """What the Parquet file of a snapshot says, of the columns of 0.1.0 that are read and not derived."""
    file = Layout(warehouse).current.spec_stacks(snapshot)
    columns = "package, hash, stack, version, version_key, compiler, compilers, os, target, variants, patches, source"
    return ask(warehouse, f"select {columns} from read_parquet('{file}', hive_partitioning = false) order by all")


@pytest.mark.slow
def test_a_warehouse_is_a_source_of_what_no_other_gives(warehouse, folder):
    write_pages(folder / "live", {("v1", "hdf5"): SPECS[:1]})
    two = Warehouse(folder / "second", folder / "live", warehouse.path)
    two.build(TUESDAY)

    assert list_specs(two.path) == list_specs(warehouse.path)
    assert [package for package, *_ in list_specs(two.path, "v1")] == ["hdf5"] * 2
    assert two.list("kind, snapshot, stack, state, read_on, specs") == [
        ("pages", "v1", None, "loaded", TUESDAY, 1),
        ("warehouse", "develop", "e4s", "loaded", MONDAY, 8),
        ("warehouse", "develop", "radiuss", "loaded", MONDAY, 6),
    ]
    state = Layout(two.path).current
    two.build(WEDNESDAY)
    assert Layout(two.path).current == state

    # Its Parquet folders are enough, as they lie on a site.
    published = folder / "published"
    for name in ("spec_stacks", "pages", "dependencies", "rejects", "sources"):
        shutil.copytree(Layout(warehouse.path).current.folder / name, published / name)
    three = Warehouse(folder / "third", published)
    three.build(TUESDAY)
    assert list_specs(three.path, "v1") == list_specs(warehouse.path, "v1")


@pytest.mark.slow
def test_a_snapshot_that_is_kept_and_damaged_is_not_lost_in_silence(warehouse, folder):
    warehouse.build(keep=True)
    shutil.rmtree(folder / "site/_cache/v1")
    write_pages(folder / "site", {("v2", "hdf5"): SPECS})
    warehouse.build(TUESDAY)
    for name in ("pages", "spec_stacks"):
        file = getattr(Layout(warehouse.path).current, name)("v1")
        data = file.read_bytes()
        file.write_bytes(data[:-9])
        with pytest.raises(WarehouseError, match=r"v1.*is damaged"):
            warehouse.build(WEDNESDAY)
        assert warehouse.build(WEDNESDAY, choice=Choice(("v2",)), drop=["v1"]).gone in (["v1"], [])
        assert run("build", "--rollback", "--warehouse", warehouse.path).returncode == 0
        Layout(warehouse.path).current.pages("v1")
        file.write_bytes(data)


def test_the_build_before_the_current_one_can_be_made_current_again(warehouse, folder):
    before = list_specs(warehouse.path)
    write_v2(folder / "develop" / "e4s", index_of(SPECS[:7]))
    warehouse.build(TUESDAY)
    assert list_specs(warehouse.path) != before

    done = run("build", "--rollback", "--warehouse", warehouse.path)
    assert (done.returncode, done.stdout) == (0, "current again: build 000001\n")
    assert list_specs(warehouse.path) == before
    done = run("build", "--rollback", "--warehouse", warehouse.path)
    assert done.returncode == 1
    assert done.stderr == f"spack-warehouse: {warehouse.path}: has no build before the current one\n"
    warehouse.build(TUESDAY)
    assert len(list_specs(warehouse.path)) == 7 * 1 + 6


def test_rollback_takes_no_source_and_a_build_needs_one(folder):
    assert run("build", "--rollback", folder / "site", "--warehouse", folder / "w").returncode == 2
    assert run("build", "--warehouse", folder / "w").returncode == 2


# The decision itself


def part(snapshot="develop", stack=None, package=None, specs=10, path="p", **more):
    return Part(snapshot, path, "s", specs, specs, package, stack, **more)


def seen(source, part, **changes):
    role = IndexRole(part.snapshot, part.stack) if part.stack else None
    entry = Entry(source, part.path, b"", role)
    return Seen(entry, part.sha256, part.snapshot, part.package, changes.get("specs", part.specs), records=part.records)


def rejected(source, path, reason, role=None):
    return Seen(Entry(source, path, b"", role), reject=Reject("file", reason, None, None))


def found(sources, seen, choice=ALL, faults=None):
    return Found(
        [Source(f"/{name}", written=name) for name in sources],
        seen,
        choice,
        TUESDAY,
        faults or {},
        {},
        explain=lambda source: "holds nothing",
    )


def held(*parts, source="a", keep=False):
    rows = {
        (one.snapshot, one.stack): SourceRow(source, "pages", one.snapshot, one.stack, LOADED, MONDAY) for one in parts
    }
    return Held(BuildPaths(Path("build")), parts, list(rows.values()), keep, MONDAY)


def test_a_folder_that_cannot_be_listed_leaves_what_was_below_it():
    parts = [part(package=name, path=f"{where}/{name}.md") for name, where in (("x", "in"), ("y", "in"), ("z", "out"))]
    today = [seen(0, parts[2]), rejected(0, "in", UNLISTED)]
    settled = settle(found("a", today), held(*parts), NO_WISHES)

    assert {(one.package, one.state) for one in settled.parts} == {("x", STALE), ("y", STALE)}
    everything = settle(found("a", [rejected(0, ".", UNLISTED)]), held(*parts), NO_WISHES)
    assert {one.package for one in everything.parts} == {"x", "y", "z"}


def test_a_failed_source_claims_only_what_it_gave():
    parts = [part(stack="e4s"), part(stack="hep")]
    rows = [
        SourceRow(name, "build cache", "develop", stack, LOADED, MONDAY) for name, stack in (("a", "e4s"), ("b", "hep"))
    ]
    before = Held(BuildPaths(Path("build")), parts, rows, False, MONDAY)
    settled = settle(found("ab", [seen(0, part("v1", "e4s"))], faults={1: "HTTP 500"}), before, NO_WISHES)

    assert [(one.stack, one.state) for one in settled.parts] == [("hep", STALE)]
    # Of a warehouse that does not say who gave what, nothing is let go while a source fails.
    unknown = Held(BuildPaths(Path("build")), parts)
    settled = settle(found("ab", [seen(0, part("v1", "e4s"))], faults={1: "HTTP 500"}), unknown, NO_WISHES)
    assert {one.stack for one in settled.parts} == {"e4s", "hep"}


def test_another_source_with_less_is_no_source_that_shrank():
    small = seen(0, part(stack="e4s"), specs=1)
    settled = settle(found("b", [small]), held(part(stack="e4s", specs=100), source="a"), NO_WISHES)
    assert settled.parts == []
    assert [row.state for row in settled.rows] == [LOADED]


def test_what_is_not_chosen_is_not_stale():
    choice = Choice(("v1",))
    before = held(part("develop", "e4s"), part("v1", "e4s"))
    settled = settle(found("a", [], choice, {0: "HTTP 500"}), before, NO_WISHES)
    assert [one.snapshot for one in settled.parts] == ["v1"]
    kept = settle(found("a", [], choice, {0: "HTTP 500"}), before, Wishes(keep=True))
    assert {(one.snapshot, one.state) for one in kept.parts} == {("v1", STALE), ("develop", LOADED)}


places = st.tuples(st.sampled_from(["develop", "v1"]), st.sampled_from(["e4s", "hep", None]))


@given(
    before=st.dictionaries(places, st.integers(1, 20), max_size=6),
    after=st.dictionaries(places, st.integers(0, 20), max_size=6),
    broken=st.sets(places),
    keep=st.booleans(),
)
def test_nothing_is_lost_without_a_reason(before, after, broken, keep):
    """Every place of the last warehouse is given today, stays, or is gone from a source that could be read."""

    def make(place, specs):
        snapshot, stack = place
        return part(snapshot, stack, None if stack else "hdf5", specs, f"{snapshot}/{stack}")

    # Something is always there: what gives nothing at all any more is another matter.
    today = [seen(0, make(("v2", "e4s"), 1))]
    today += [seen(0, make(place, specs)) for place, specs in after.items() if place not in broken]
    for snapshot, stack in broken:
        path = f"{snapshot}/{stack}"
        today.append(rejected(0, path, "broken", IndexRole(snapshot, stack) if stack else None))
    settled = settle(found("a", today), held(*(make(*one) for one in before.items())), Wishes(keep=keep))
    stands = {one.place: one for one in settled.parts}
    given_today = {one.place for one in today if one.snapshot is not None and one.entry_key not in settled.ignored}

    shrunk = {place for place in before if place not in broken and place in after and after[place] * 2 < before[place]}
    stale = broken & before.keys()
    standing = {snapshot for snapshot, _ in (*given_today, *stale, *shrunk)}
    kept = {place for place in before if keep and place[0] not in standing}
    assert not stands.keys() & given_today
    assert stands.keys() == stale | shrunk | kept
    for place, one in stands.items():
        assert one.specs == before[place]
        assert one.state == (STALE if place in stale else SHRUNK if place in shrunk else LOADED)
    rows = {row.place: row for row in settled.rows if row.specs is not None}
    assert rows.keys() == given_today | stands.keys()
    assert len(settled.rows) == len(set(settled.rows))
    standing = {place[0] for place in rows}
    assert settled.gone == sorted({place[0] for place in before} - standing)


@pytest.mark.parametrize("how", ["dangling", "loop"])
def test_a_folder_in_whose_place_a_link_leads_nowhere_leaves_what_was_below_it(folder, how):
    one = Warehouse(folder, folder / "tree")
    shutil.copytree(folder / "develop", folder / "tree/develop")
    write_v2(folder / "tree/v2/e4s", index_of(SPECS))
    one.build()
    before = list_specs(one.path)
    shutil.rmtree(folder / "tree/develop")
    (folder / "tree/develop").symlink_to("nowhere" if how == "dangling" else "develop")
    summary = one.build(TUESDAY)

    assert list_specs(one.path) == before
    assert [row[2] for row in one.list() if row[0] == "develop"] == ["stale", "stale"]
    assert not summary.is_whole(strict=False)
    assert summary.gone == []


def test_a_source_that_cannot_be_listed_at_all_fails():
    parts = [part(stack="e4s", path="develop/e4s/build_cache/index.json")]
    settled = settle(found("a", [rejected(0, ".", UNLISTED)]), held(*parts), NO_WISHES)
    assert settled.unread == [f"a: {UNLISTED}"]
    below = settle(found("a", [rejected(0, "develop", "cannot be read")]), held(*parts), NO_WISHES)
    assert [one.state for one in below.parts] == [STALE]


def test_a_source_is_the_same_however_its_path_is_spelt(warehouse, folder, monkeypatch):
    write_v2(folder / "develop" / "e4s", index_of(SPECS[:2]))
    monkeypatch.chdir(folder)
    (folder / "link").symlink_to(".")
    warehouse.sources = ["link/develop/e4s", "develop/../develop/radiuss/", "site"]
    summary = warehouse.build(TUESDAY)

    assert warehouse.list("source, state, specs") == [
        ("develop/radiuss", "loaded", 6),
        ("link/develop/e4s", "shrunk", 8),
        ("site", "loaded", 10),
    ]
    assert summary.unnamed == []


@pytest.mark.slow
def test_a_copy_that_followed_the_links_of_a_warehouse_holds_what_it_held(warehouse, folder):
    warehouse.build(keep=True)
    shutil.rmtree(folder / "site/_cache/v1")
    write_pages(folder / "site", {("v2", "hdf5"): SPECS})
    warehouse.build(TUESDAY)
    before = list_specs(warehouse.path, "v1")
    copy = folder / "copy"
    shutil.copytree(warehouse.path, copy)
    warehouse.path = copy
    summary = warehouse.build(WEDNESDAY)

    assert summary.keeps
    assert list_specs(copy, "v1") == before


def test_questions_say_what_is_not_of_today(warehouse, folder):
    write_page(folder, "{", "develop/e4s/build_cache/index.json")
    warehouse.build(TUESDAY)
    line = f"not of today: develop: stale since {MONDAY}: the stack e4s of {folder}/develop/e4s: "
    for command in (["have", "hdf5"], ["gaps", "--snapshot", "develop"], ["diff", "v1", "develop"]):
        reported = run(*command, "--warehouse", warehouse.path).stderr.splitlines()
        assert [one for one in reported if one.startswith(line)], command
    reported = run("have", "hdf5", "--stack", "radiuss", "--warehouse", warehouse.path)
    assert "not of today" not in reported.stderr
