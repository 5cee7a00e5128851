"""A folder of reports: what is in it is replaced as a whole, and what is somebody else's stays."""

import json
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.errors import WarehouseError
from pipeline.io.progress import Progress
from pipeline.layout import Layout
from pipeline.report.export import export_reports, prune_reports
from pipeline.report.folder import INDEX, LOCK, SITE, STAGING, ReportFolder, folder_name
from tests.makers import build_pages, make_spec, rest_slow, write_pages

NAMES = ["develop", ".", "..", ".hidden", INDEX, SITE, STAGING, "a/../b", "%2E"]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reportfolder")
    return build_pages(folder, {(name, "hdf5"): [make_spec(at)] for at, name in enumerate(NAMES)})


def export(warehouse, out, *snapshots):
    return export_reports(Layout(warehouse), out, ["csv"], snapshots or None)


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


names = st.one_of(st.text(min_size=1, max_size=5), st.text("./%2E", min_size=1, max_size=5), st.sampled_from(NAMES))


@given(names, names)
def test_each_snapshot_has_a_visible_folder_of_its_own(one, other):
    name = folder_name(one)

    assert Path(name).name == name
    assert not name.startswith(".")
    assert name not in (INDEX, SITE)
    assert (name == folder_name(other)) == (one == other)


@pytest.mark.slow
def test_no_name_leads_out_or_hides(warehouse, tmp_path):
    out = tmp_path / "out"
    (out / "mine").mkdir(parents=True)
    (out / "mine" / "notes.txt").write_text("mine")
    export(warehouse, out)
    index = json.loads((out / INDEX).read_text())

    assert {one["snapshot"] for one in index["snapshots"]} == set(NAMES)
    assert {path.name for path in out.iterdir()} == {*map(folder_name, NAMES), "mine", INDEX, SITE}
    assert (out / "mine" / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize(
    "place",
    ["develop", "develop/mine.txt", "develop/sub/mine.txt", f"develop/{INDEX}", INDEX],
)
def test_what_is_no_report_is_refused_and_stays(warehouse, tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"my": "api", "snapshot": "develop", "reports": 5}')
    before = contents(tmp_path)
    with pytest.raises(WarehouseError, match="is no report") as caught:
        export(warehouse, tmp_path, "develop")

    assert str(tmp_path / Path(*Path(place).parts[:2])) in str(caught.value)
    assert contents(tmp_path) == before


def test_a_file_beside_reports_is_refused_and_stays(warehouse, tmp_path):
    export(warehouse, tmp_path, "develop")
    mine = tmp_path / "develop" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(WarehouseError, match=str(mine)):
        export(warehouse, tmp_path, "develop")
    export(warehouse, tmp_path, ".")
    prune_reports(tmp_path, ["."])

    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]
    assert [one["snapshot"] for one in json.loads((tmp_path / INDEX).read_text())["snapshots"]] == ["."]


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        "\udcff",
        '{"snapshot": "zz", "reports": 5}',
        '{"snapshot": "zz", "reports": [{"path": "x"}]}',
        '{"snapshot": "other", "reports": []}',
        '{"snapshot": "zz", "reports": [{"report": "r", "format": "csv", "path": "../x", "bytes": 1, "sha256": ""}]}',
    ],
)
def test_somebody_elses_folder_is_none_of_reports(warehouse, tmp_path, index):
    (tmp_path / "zz").mkdir()
    (tmp_path / "zz" / INDEX).write_bytes(index.encode("utf-8", "surrogateescape"))
    (tmp_path / "x").write_text("mine")
    export(warehouse, tmp_path, "develop")
    prune_reports(tmp_path, [])

    assert (tmp_path / "zz" / INDEX).exists()
    assert (tmp_path / "x").exists()
    assert not (tmp_path / "develop").exists()


@pytest.mark.slow
def test_exports_at_once_wait_for_each_other(warehouse, tmp_path):
    def work():
        for _ in range(3):
            export(warehouse, tmp_path, "develop", "a/../b")

    workers = [threading.Thread(target=work) for _ in range(3)]
    failed = []
    threading.excepthook, hook = failed.append, threading.excepthook
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        threading.excepthook = hook

    assert failed == []
    assert {path.name for path in tmp_path.iterdir()} == {"develop", folder_name("a/../b"), INDEX, SITE}


def test_an_export_that_waited_lists_what_was_built_meanwhile(tmp_path):
    warehouse = build_pages(tmp_path, {("develop", "hdf5"): [make_spec(1)]})
    held, free = threading.Event(), threading.Event()

    def hold():
        with ReportFolder(tmp_path / "out").hold(lambda: None):
            held.set()
            free.wait(60)

    class Rebuilding(Progress):
        def wait(self, folder, what):
            write_pages(tmp_path / "source", {("v2", "hdf5"): [make_spec(2)]})
            build([tmp_path / "source"], warehouse, jobs=1)
            free.set()

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    export_reports(Layout(warehouse), tmp_path / "out", ["csv"], progress=Rebuilding())
    other.join()

    index = json.loads((tmp_path / "out" / INDEX).read_text())
    assert [one["snapshot"] for one in index["snapshots"]] == ["develop", "v2"]


def test_what_was_taken_away_for_nothing_comes_back(warehouse, tmp_path):
    export(warehouse, tmp_path, "develop", ".")
    whole = contents(tmp_path)
    # As a kill between two renames leaves it, and one of an earlier version did.
    for name, staging in (("develop", f"{STAGING}-0123456789abcdef"), ("%2E", STAGING)):
        (tmp_path / staging / "new").mkdir(parents=True)
        (tmp_path / staging / "old").mkdir()
        (tmp_path / name).rename(tmp_path / staging / "old" / name)
    export(warehouse, tmp_path, ".")

    assert contents(tmp_path) == whole


def test_a_file_that_cannot_be_written_is_named_and_the_reports_stay(tmp_path):
    (tmp_path / "develop").mkdir()
    with pytest.raises(OSError) as caught, ReportFolder(tmp_path).replace("develop"):
        raise OSError(28, "No space left on device")

    assert caught.value.filename == str(tmp_path / "develop")
    assert [path.name for path in tmp_path.iterdir()] == ["develop"]
    assert LOCK not in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("part", rest_slow([0.5, 0.0, 0.01, 0.99]))
@pytest.mark.parametrize("name", [INDEX, SITE, f"develop/{INDEX}"])
def test_what_a_power_cut_left_of_an_index_is_written_anew(warehouse, tmp_path, name, part):
    export(warehouse, tmp_path, "develop", ".")
    whole = contents(tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * part)])
    export(warehouse, tmp_path, "develop")

    assert contents(tmp_path) == whole


def test_beside_a_cut_index_only_reports_are_replaced(warehouse, tmp_path):
    export(warehouse, tmp_path, "develop")
    (tmp_path / "develop" / INDEX).write_bytes(b"")
    (tmp_path / "develop" / "mine.txt").write_text("mine")
    with pytest.raises(WarehouseError, match=r"mine\.txt: is no report"):
        export(warehouse, tmp_path, "develop")


def test_reports_wait_where_nobody_else_can_write(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / STAGING).symlink_to("victim")
    with ReportFolder(tmp_path).replace("develop") as new:
        assert new.parent.parent == tmp_path
        assert stat.S_IMODE(new.parent.stat().st_mode) == 0o700
        (new / "x.csv").write_text("x")

    assert list((tmp_path / "victim").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"develop", "victim", STAGING}


def test_reports_of_an_earlier_version_keep_their_place_under_their_new_name(tmp_path):
    warehouse = build_pages(tmp_path, {("V1", "p"): [make_spec(1)], ("v1", "p"): [make_spec(2)]})
    out = tmp_path / "out"
    export(warehouse, out)
    whole = contents(out)
    (out / "%561").rename(out / "V1")
    export(warehouse, out, "v1")

    assert contents(out) == whole
