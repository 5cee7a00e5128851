"""The site of a warehouse: what its pages say, what is written, and what stays of what is gone."""

import datetime as dt
import hashlib
import json
import re
import shutil
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from pipeline.ask.diff import judge_change
from pipeline.build import build
from pipeline.io.disk import put_all
from pipeline.layout import Layout
from pipeline.publish.feed import ATOM
from pipeline.publish.front import order_snapshots
from pipeline.publish.grid import Cell, find_room
from pipeline.publish.shown import draw_chart, draw_line, make_command, part_variants
from pipeline.publish.site import Wanted, publish_site
from pipeline.publish.status import STATUS, encode_status, read_status
from pipeline.report.export import export_reports, prune_reports
from pipeline.report.folder import MANIFEST, folder_name, folder_of
from pipeline.spack.releases import RELEASED
from pipeline.spack.versions import version_key
from pipeline.store.state import read_looked_on
from tests.commands import run
from tests.makers import ask, build_pages, build_text, make_hash, make_index, make_spec, write_v2
from tests.reading import Reading, list_broken, read_data, read_page
from tests.sites import (
    BASE_URL,
    CACHES,
    FIRST,
    FORMATS,
    ODD,
    PROTO,
    SCRIPT,
    SECOND,
    THIRD,
    Binary,
    build_site_warehouse,
    make_binary,
    make_site,
    packages_of,
    write_site_sources,
)
from tests.test_closure import binary as pushed
from tests.test_closure import edge


def publish(warehouse, out, **wanted):
    return publish_site(Layout(warehouse), out, Wanted(**{"formats": FORMATS, **wanted}))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def list_places(folder):
    """Where each file lies on the disk and since when: both stay with a file that is not written anew."""
    stats = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path: (one.st_ino, one.st_mtime_ns) for path, one in stats.items()}


@pytest.fixture(scope="module")
def warehouse(build_once):
    return build_once("site", make_site) / "warehouse"


@pytest.fixture(scope="module")
def site(build_once):
    return build_once("site", make_site) / "site"


@pytest.fixture
def copy(site, tmp_path):
    return shutil.copytree(site, tmp_path / "copy")


# What the pages say


def test_the_front_page_says_what_left_came_and_is_not_known(site):
    # lima and qemu left e4s, and umpire radiuss; curl came; of hep's index nothing is known, and zlib and hdf5 are
    # elsewhere too.
    front = json.loads((site / "front.json").read_text())["focus"]

    assert front["snapshot"] == THIRD
    assert (front["came"], front["left"], front["unknown"]) == (["curl"], ["lima", "qemu", "umpire"], [])
    assert front["verdict"] == "worse"
    assert front["previous"] == SECOND
    page = read_page(site)
    assert "Worse than 2025-03-09" in page.text
    assert f"3 packages of {len(set().union(*packages_of(SECOND).values()))} left every stack and 1 came." in page.text


def test_the_figures_are_those_of_the_caches(site):
    front = json.loads((site / "front.json").read_text())
    for one in front["snapshots"]:
        held = {
            binary for (snapshot, _), binaries in CACHES.items() if snapshot == one["snapshot"] for binary in binaries
        }
        assert one["packages"] == len({binary.package for binary in held})
        assert one["specs"] == len({binary.number for binary in held})
        assert one["stacks_held"] == len(packages_of(one["snapshot"]))
        assert read_data(site, folder_of("snapshot", one["snapshot"]))["packages"] == one["packages"]


def test_the_front_page_shows_the_figures_of_its_data(site):
    front = json.loads((site / "front.json").read_text())
    rows = read_page(site).rows("Snapshots")

    assert [row[0] for row in rows] == [one["snapshot"] for one in front["snapshots"]]
    assert [row[0] for row in rows] == ["develop", THIRD, SECOND, FIRST, "v0.23.1", "package"]
    assert [(int(row[2]), int(row[4]), int(row[5])) for row in rows] == [
        (one["packages"], one["specs"], one["stacks_held"]) for one in front["snapshots"]
    ]


def test_a_stack_s_row_says_what_it_lost_and_gained(site):
    before, now = packages_of(SECOND), packages_of(THIRD)
    rows = {row[0].split()[0]: row for row in read_page(site).rows("Stacks")}

    assert next(iter(rows)) == "hep"  # not known comes first
    assert "its source did not load" in rows["hep"][-1]
    assert rows["hep"][1:3] == ["2?", "?"]
    assert rows["e4s"][1] == str(len(now["e4s"]))
    assert rows["e4s"][4] == f"−{len(before['e4s'] - now['e4s'])}"  # noqa: RUF001
    assert rows["e4s"][6] == f"+{len(now['e4s'] - before['e4s'])}"
    assert "lost lima and 1 package that went with it; gained curl" in rows["e4s"][-1]
    assert "stack removed" in rows["radiuss"][-1]
    assert rows[PROTO][1:7] == ["2", "0", "", "0", "", "0"]
    assert rows[PROTO][-1] == "unchanged"


def test_losses_stand_under_their_heads_and_causes_are_those_of_sql(site, warehouse):
    front = json.loads((site / "front.json").read_text())["focus"]
    heads = ask(warehouse, f"select distinct head, package, stack from loss_heads where to_snapshot = '{THIRD}'")
    causes = ask(
        warehouse,
        f"select cause, count(distinct package), count(distinct stack), sum(specs) from lost('{SECOND}', '{THIRD}') "
        "group by cause",
    )

    listed = {(one["head"], name) for one in front["losses"] for name in [one["head"], *one["packages"]]}
    assert listed == {(head, package) for head, package, _ in heads}
    assert {"lima", "zlib", "umpire"} == {one["head"] for one in front["losses"]}
    assert sum(one["times"] for one in front["losses"]) == len(heads)
    assert [tuple(one.values()) for one in front["causes"]] == sorted(
        causes, key=lambda row: [one["cause"] for one in front["causes"]].index(row[0])
    )


def test_the_newest_of_each_series_is_named_with_what_it_is_compared_with(site):
    front = json.loads((site / "front.json").read_text())
    others = {one["series"]: one for one in front["others"]}

    assert {"develop", "release", "other"} == set(others)
    # The newest weekly one is not complete: develop is compared with the one before it.
    assert others["develop"]["previous"] == SECOND
    assert read_data(site, "snapshot", "develop")["skipped"] == 1
    assert "1 snapshot in between is not complete" in read_page(site, "snapshot", "develop").text


def test_sources_that_are_not_of_today_are_named(site):
    text = read_page(site).text

    assert "failed hep" in text
    assert read_data(site, "snapshot", THIRD)["troubles"][0]["state"] == "failed"
    rows = {row[0]: row for row in read_page(site).rows("Snapshots")}
    assert rows[THIRD][6] == "1 not of today"
    assert rows[SECOND][6] == "complete"


def test_a_package_s_history_is_that_of_the_caches(site):
    for package in {binary.package for binaries in CACHES.values() for binary in binaries}:
        data = read_data(site, folder_of("package", package))
        listed = {
            (one["snapshot"], row["stack"]): row["versions"][at]
            for row in data["history"]
            for at, one in enumerate(data["snapshots"])
            if row["versions"][at] is not None
        }
        assert listed == {
            place: binary.version
            for place, binaries in CACHES.items()
            for binary in binaries
            if binary.package == package
        }


def test_a_package_s_grid_has_ink_where_something_changed(site):
    rows = {row[0]: row[1:] for row in read_page(site, "package", "hdf5").rows("History by stack")}

    # The columns: package, v0.23.1, two weeks, a week without, the third, develop.
    assert rows["e4s"] == [
        "",
        "1.14.2",
        "1.14.3",
        "1.14.5 newer",
        "",
        "± other variants, compiler or target",
        "1.14.6 newer",
        "newest",
    ]
    # Compared with the last complete snapshot develop has lost it, though the one before says nothing.
    assert rows["hep"][-4:-1] == ["", "? not known", "− lost"]  # noqa: RUF001
    assert rows["hep"][3] == "· built again"
    lima = {row[0]: row[1:] for row in read_page(site, "package", "lima").rows("History by stack")}
    assert lima["e4s"] == ["", "", "1.0.1", "", "", "− lost", "1.0.1 gained", "not there"]  # noqa: RUF001


def test_a_lost_package_has_a_page_that_says_with_what_it_went(site):
    text = read_page(site, "package", "qemu").text

    assert f"No binary in any stack of {THIRD}." in text
    assert "Last seen in develop" in text
    assert "lima left e4s and took it along" in text
    assert "it left e4s and took qemu along" in read_page(site, "package", "lima").text


def test_a_package_s_page_lists_its_specs_with_the_line_that_installs_each(site, warehouse):
    rows = read_page(site, "package", "hdf5").rows("Specs")
    ((hash, variants),) = ask(
        warehouse, f"select hash, variants from specs where package = 'hdf5' and snapshot = '{THIRD}'"
    )

    assert len(rows) == 1
    assert rows[0][-1] == f"spack install --cache-only hdf5/{hash[:7]} Copy spack install --cache-only hdf5/{hash[:7]}"
    assert "https://packages.spack.io/package.html?name=hdf5" in read_page(site, "package", "hdf5").links
    assert read_data(site, "package", "hdf5")["specs"][0]["variants"] == variants
    # Of no odd name is there a line with it for a shell.
    script = read_page(site, folder_of("package", SCRIPT)).rows("Specs")
    assert script[0][-1].startswith("spack install --cache-only /")


def test_of_replaced_variants_a_page_shows_those_that_differ(site):
    rows = read_page(site, "package", "hdf5").rows("Lost, gained, replaced")
    of_stack = read_page(site, "stack", "e4s").rows("Replaced")

    assert [row[3] for row in rows if "variant replaced" in row[2]] == ["1.14.5 +mpi → ~mpi"]
    assert ["hdf5", "variant replaced", "1.14.5 +mpi → ~mpi"] in of_stack


def test_gaps_are_those_of_sql(site, warehouse):
    gaps = ask(warehouse, f"select package, stack, held_by from gaps where snapshot = '{THIRD}'")
    of_packages = {
        (package, gap["stack"], gap["held_by"])
        for package in {row[0] for row in gaps}
        for gap in read_data(site, folder_of("package", package))["gaps"]
    }
    of_stacks = {
        (gap["package"], stack, gap["held_by"])
        for stack in {row[1] for row in gaps}
        for gap in read_data(site, folder_of("stack", stack))["gaps"]
    }

    assert of_packages == of_stacks == set(gaps)
    assert gaps


def test_a_stack_s_page_is_what_sql_and_the_caches_say(site, warehouse):
    data = read_data(site, "stack", "e4s")
    (counted,) = ask(
        warehouse,
        f"select packages, coverage, specs from summary_by_stack where snapshot = '{THIRD}' and stack = 'e4s'",
    )
    lag = ask(
        warehouse, f"select package, versions_behind from version_lag where snapshot = '{THIRD}' and stack = 'e4s'"
    )

    assert (data["packages"], data["packages"] / data["packages_of_snapshot"], data["specs"]) == counted
    assert {(one["package"], one["versions_behind"]) for one in data["held"]} == set(lag)
    assert {one["package"] for one in data["held"]} == packages_of(THIRD)["e4s"]
    assert data["losses"] == [{"head": "lima", "packages": ["qemu"]}]
    assert data["shared"] == [{"other": PROTO, "specs": 1}]
    history = {one["snapshot"]: one for one in data["history"]}
    for snapshot in (FIRST, SECOND, THIRD, "develop"):
        assert history[snapshot]["packages"] == len(packages_of(snapshot)["e4s"])
    assert (history[THIRD]["lost"], history[THIRD]["gained"], history[THIRD]["replaced"]) == (2, 1, 1)
    table = read_page(site, "stack", "e4s").tables["History"]
    at = table[0].index(THIRD.removeprefix("develop-2025-"))
    rows = {row[0].split()[0]: row for row in table[1:]}
    shown = [rows[name][at] for name in ("packages", "lost", "gained", "specs")]
    assert shown == [str(len(packages_of(THIRD)["e4s"])), "−2", "+1", str(data["specs"])]  # noqa: RUF001


def test_a_stack_that_left_has_what_its_last_snapshot_had(site):
    text = read_page(site, "stack", "radiuss").text

    assert "removed" in text
    assert f"Not in {THIRD}. Removed in {THIRD}. This is what {SECOND} has." in text
    assert read_data(site, "stack", "radiuss")["state"] == "removed"


def test_every_difference_to_the_snapshot_before_is_there(site, warehouse):
    listed = json.loads((site / "snapshot" / THIRD / "changes.json").read_text())
    rows = ask(warehouse, f"select stack, package, change, cause, specs from changes where to_snapshot = '{THIRD}'")

    assert (listed["from_snapshot"], listed["to_snapshot"]) == (SECOND, THIRD)
    keys = ("stack", "package", "change", "cause", "specs")
    assert sorted(tuple(one[key] for key in keys) for one in listed["changes"]) == sorted(rows)


def test_latest_leads_to_the_newest_snapshot(site):
    page = read_page(site, "latest")

    assert "../develop/report.html" in page.links
    assert ("meta", {"http-equiv": "refresh", "content": "0; url=../develop/report.html"}) in page.tags


@pytest.mark.slow
def test_a_gate_s_verdict_is_on_the_front_page(warehouse, tmp_path):
    gates = tmp_path / "gates.yaml"
    gates.write_text(f"snapshot: {THIRD}\nlost:\n  baseline: {SECOND}\nrejects:\n  maximum: 10\n")
    chosen = ("--format", "csv", "--gates", gates, "--docs", "https://example.org/docs")
    done = run("site", "--warehouse", warehouse, "--out", tmp_path / "out", *chosen)

    assert done.returncode == 0, done.stderr
    assert "https://example.org/docs" in read_page(tmp_path / "out").links
    front = json.loads((tmp_path / "out" / "front.json").read_text())
    assert front["gates"]["failed"]
    assert front["gates"]["summary"] in read_page(tmp_path / "out").text
    assert any("lima" in one for one in front["gates"]["shortfalls"])
    again = ["site", "--warehouse", warehouse, "--out", tmp_path / "out", *chosen]
    assert run(*again).stdout.splitlines()[0].endswith(", 0 written")
    gates.write_text("rejects:\n  maximum: 10\n")
    assert not run(*again).stdout.splitlines()[0].endswith(", 0 written")
    assert "1 of 1 gates hold" in read_page(tmp_path / "out").text


def test_pages_give_their_address_where_the_site_has_one(site):
    canonical = [
        held["href"] for tag, held in read_page(site, "package", "hdf5").tags if held.get("rel") == "canonical"
    ]

    assert canonical == ["https://example.org/spack/package/hdf5/"]


# Links, names, bytes


def test_no_link_is_broken_and_none_leads_away(site):
    assert list_broken(site) == []


def test_names_are_text_and_each_has_a_folder_of_its_own(site):
    names = [binary.package for binary in ODD]
    for name in names:
        page = site / folder_of("package", name) / "index.html"
        assert SCRIPT not in page.read_text()
        assert name in Reading(page.read_text()).text
    folders = [path.name for path in (site / "package").iterdir() if path.is_dir()]
    assert len({name.lower() for name in folders}) == len(folders)
    assert all(not name.startswith(".") and name.partition(".")[0] not in ("con", "nul") for name in folders)
    assert all("<img" not in text for text in (path.read_text() for path in (site / "package").rglob("*.html")))


def test_a_very_long_name_has_a_folder_that_any_file_system_takes():
    long = "é" * 300

    assert len(folder_of("package", long)) < 240
    assert folder_of("package", long) != folder_of("package", long + "é")


def test_snapshots_named_as_the_site_s_own_folders_stand_beside_them(site):
    assert folder_name("package") == "%70ackage"
    assert json.loads((site / "%70ackage" / "index.json").read_text())["snapshot"] == "package"
    assert read_data(site, "package")["kind"] == "packages"


def test_the_addresses_of_reports_stay(warehouse, site, tmp_path):
    export_reports(Layout(warehouse), tmp_path, FORMATS)
    reports = contents(tmp_path)
    landing = reports.pop("index.html")
    published = contents(site)

    # A page in a site links to those around it, so that its bytes are others; its address is the same.
    assert set(reports) <= set(published)
    links, within = (re.findall(rb'href="([^"#]+)"', page) for page in (landing, published["files.html"]))
    assert [link for link in within if link != b"index.html"] == links


def test_a_site_may_have_no_report_of_any_snapshot(warehouse, tmp_path):
    publish(warehouse, tmp_path, snapshots=[])

    assert json.loads((tmp_path / "site.json").read_text())["reports"] == {}
    assert (tmp_path / "files.html").is_file()
    assert list_broken(tmp_path) == []


def test_two_sites_of_one_warehouse_are_the_same_bytes(warehouse, site, tmp_path):
    publish(warehouse, tmp_path / "other", base_url=BASE_URL)

    assert contents(tmp_path / "other") == contents(site)


def test_no_page_says_when_it_was_made(site):
    today = dt.datetime.now(dt.UTC).date().isoformat()
    files = [path for path in (site / "package").rglob("*.*") if path.is_file()]
    text = "".join(path.read_text() for path in files)

    assert today not in text


def test_pages_are_small(site):
    assert (site / "index.html").stat().st_size < 200_000
    assert all(path.stat().st_size < 100_000 for path in (site / "package").glob("*/index.html"))


# What is written, and what stays


def test_where_nothing_changed_nothing_is_done(warehouse, copy, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    monkeypatch.setattr("pipeline.publish.site.open_database", None)
    summary = publish(warehouse, copy, base_url=BASE_URL)

    assert summary.written == 0
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_what_is_missing_is_written_again_and_nothing_else(warehouse, copy, site):
    (copy / "package" / "hdf5" / "index.html").unlink()
    kept = (copy / "package" / "zlib" / "index.html").stat().st_mtime_ns
    summary = publish(warehouse, copy, base_url=BASE_URL)

    assert summary.written == 1
    assert contents(copy) == contents(site)
    assert (copy / "package" / "zlib" / "index.html").stat().st_mtime_ns == kept


@pytest.mark.slow
def test_a_new_snapshot_writes_what_it_changed(tmp_path):
    warehouse = build_site_warehouse(tmp_path, without=("develop",))
    publish(warehouse, tmp_path / "out")
    before, places = contents(tmp_path / "out"), list_places(tmp_path / "out")
    build_site_warehouse(tmp_path)
    summary = publish(warehouse, tmp_path / "out")
    publish(warehouse, tmp_path / "new")
    after = contents(tmp_path / "out")

    assert after == contents(tmp_path / "new")
    changed = {path for path in after if after[path] != before.get(path)}
    assert {path for path, place in list_places(tmp_path / "out").items() if place != places.get(path)} == changed
    own = ("package", "stack", "snapshot", "latest", "index.html", "front.json", "feed.atom")
    pages = {path for path in changed if path.split("/")[0] in own}
    assert summary.written == len(pages)
    assert "package/hdf5/index.html" in pages
    assert f"snapshot/{SECOND}/index.html" not in pages


def test_a_snapshot_that_changed_is_written_anew_and_whatever_shows_it(warehouse, copy, tmp_path):
    source = write_site_sources(tmp_path / "source")
    binaries = [*CACHES["v0.23.1", "e4s"], Binary("curl", "7.0", 90)]
    write_v2(source / "v0.23.1" / "e4s", make_index(map(make_binary, binaries)))
    build([source], tmp_path / "warehouse", jobs=1)
    before, places = contents(copy), list_places(copy)
    publish(tmp_path / "warehouse", copy, base_url=BASE_URL)
    after = contents(copy)

    written = {path for path, place in list_places(copy).items() if place != places[path]}
    assert written == {path for path in after if after[path] != before[path]}
    pages = {path for path in written if path.split("/")[0] in ("package", "stack", "snapshot") and "html" in path}
    assert pages == {f"{one}/index.html" for one in ("package/curl", "stack/e4s", "snapshot/v0.23.1")}


@pytest.mark.slow
def test_what_the_warehouse_holds_no_more_keeps_its_page(warehouse, copy, tmp_path):
    sources = build_site_warehouse(tmp_path, without=(FIRST, SECOND, THIRD, "develop"))
    build([tmp_path / "source"], sources, jobs=1)
    publish(sources, copy)

    lima = read_page(copy, "package", "lima")
    assert "No binary any more. Last seen in develop." in lima.text
    assert read_data(copy, "package", "lima")["gone"]
    assert "No more in the warehouse." in read_page(copy, "stack", "radiuss").text
    snapshot = read_page(copy, "snapshot", THIRD)
    assert "No more in the warehouse." in snapshot.text
    assert f"../../{THIRD}/report.html" in snapshot.links
    assert (copy / "snapshot" / THIRD / "changes.json").is_file()
    rows = {row[0]: row for row in read_page(copy).rows("Snapshots")}
    assert rows[THIRD][6] == "no longer in the warehouse"
    assert list_broken(copy) == []
    again = contents(copy)
    (copy / "package" / "lima" / "index.html").unlink()
    publish(sources, copy)
    assert contents(copy) == again


@pytest.mark.slow
def test_a_site_that_was_written_in_part_is_made_good(tmp_path, monkeypatch):
    warehouse = build_site_warehouse(tmp_path, without=("develop",))
    publish(warehouse, tmp_path / "out")
    build_site_warehouse(tmp_path)

    def put_some(pairs):
        pairs = list(pairs)
        put_all(pairs[: len(pairs) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.publish.writer.put_all", put_some)
        with pytest.raises(KeyboardInterrupt):
            publish(warehouse, tmp_path / "out")
    publish(warehouse, tmp_path / "out")
    publish(warehouse, tmp_path / "new")

    assert contents(tmp_path / "out") == contents(tmp_path / "new")


def test_a_pruned_snapshot_keeps_its_page(warehouse, copy):
    prune_reports(copy, ["develop"])
    assert json.loads((copy / "index.json").read_text())["snapshots"][0]["snapshot"] == "develop"
    assert b"Spack Warehouse: today" in (copy / "files.html").read_bytes()
    assert "Worse" in read_page(copy).text


def test_old_data_of_another_version_are_left_as_they_are(warehouse, copy):
    folder = copy / "package" / "gone-package"
    folder.mkdir()
    (folder / "index.html").write_text("old")
    (folder / "index.json").write_text('{"kind": "package", "package": "gone-package", "format": 0}')
    (copy / "package" / "hdf5" / "index.html").unlink()
    summary = publish(warehouse, copy)

    assert list(summary.left) == ["package/gone-package"]
    assert (folder / "index.html").read_text() == "old"


def test_what_was_not_written_here_is_not_replaced(warehouse, tmp_path):
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "notes.txt").write_text("mine")
    done = run("site", "--warehouse", warehouse, "--out", tmp_path)

    assert done.returncode == 1
    assert done.stderr == (
        f"spack-warehouse: {tmp_path / 'stack'}: is no part of a site, and would be replaced; move it away, or write "
        "elsewhere\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"stack"}


@pytest.mark.slow
def test_a_folder_of_reports_becomes_a_site_and_stays_one(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path, ["csv"])
    (tmp_path / "%70ackage").rename(tmp_path / "package")  # as versions without a site named it
    publish(warehouse, tmp_path)
    export_reports(Layout(warehouse), tmp_path, FORMATS)

    assert "Worse" in read_page(tmp_path).text
    assert (tmp_path / "%70ackage" / "report.html").is_file()
    assert list_broken(tmp_path) == []


@pytest.mark.slow
def test_a_write_that_fails_leaves_the_last_site(warehouse, copy, monkeypatch):
    (copy / "package" / "hdf5" / "index.html").unlink()
    before = contents(copy)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.publish.writer.put_all", fail)
    with pytest.raises(OSError, match="No space left"):
        publish(warehouse, copy)
    assert contents(copy) == before


def test_an_empty_warehouse_has_a_site(tmp_path):
    _, warehouse = build_text(
        tmp_path, "---\ntitle: hdf5\nlayout: cache\ncategories: [package]\nspec_details: [\n---\n"
    )
    assert ask(warehouse, "select count(*) from snapshots") == [(0,)]
    publish(warehouse, tmp_path / "out")

    assert "No snapshot yet" in read_page(tmp_path / "out").text
    assert list_broken(tmp_path / "out") == []


def test_what_stands_in_root_alone_has_a_page(tmp_path):
    pages = {("develop", "hdf5"): [make_spec(1, stacks=["root"])], ("develop", "zlib"): [make_spec(2)]}
    publish(build_pages(tmp_path, pages), tmp_path / "out")

    assert "It stands in the root mirror alone." in read_page(tmp_path / "out", "package", "hdf5").text
    assert json.loads((tmp_path / "out" / "front.json").read_text())["focus"]["packages"] == 1


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (["--base-url", "ftp://x"], "is not an https"),
        (["--docs", "javascript:alert(1)"], "is not an https"),
        (["--format", "pdf"], "is none of"),
        ([], "Missing option '--out'"),
    ],
)
def test_wrong_usage(warehouse, tmp_path, arguments, listed):
    where = ["--out", tmp_path] if arguments else []
    done = run("site", "--warehouse", warehouse, *where, *arguments)

    assert done.returncode == 2
    assert listed in done.stderr


def test_without_a_warehouse_there_is_one_line(tmp_path):
    done = run("site", "--warehouse", tmp_path / "none", "--out", tmp_path / "out")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_release_stands_among_the_weekly_ones_by_its_day_where_that_is_known():
    names = ["mine", "v0.23.1", "develop-2025-02-16", "develop-2025-02-23", "v9.9", "develop"]
    series = {"m": "other", "v": "release"}
    held = [
        {
            "snapshot": name,
            "series": "develop" if name == "develop" else series.get(name[0], "weekly"),
            "date": name[8:] or None if name[0] == "d" else None,
            "released": RELEASED.get(name),
        }
        for name in names
    ]
    ordered = [one["snapshot"] for one in order_snapshots(held, ["develop", "v9.9", "mine"])]

    assert ordered == ["develop", "develop-2025-02-23", "v0.23.1", "develop-2025-02-16", "v9.9", "mine"]


def test_the_days_of_releases_are_in_the_order_of_their_versions():
    days: dict[str, list[str]] = {}
    for name, day in sorted(RELEASED.items(), key=lambda item: version_key(item[0][1:])):
        assert dt.date.fromisoformat(day)
        days.setdefault(name.rpartition(".")[0], []).append(day)
    assert all(one == sorted(one) for one in days.values())


@pytest.mark.parametrize(
    ("came", "left", "before", "verdict"),
    [(0, 0, 100, "steady"), (0, 1, 201, "steady"), (0, 1, 200, "worse"), (1, 0, 200, "better"), (9, 9, 20, "steady")],
)
def test_the_verdict_is_by_packages_that_came_less_those_that_left(came, left, before, verdict):
    assert judge_change(came, left, before) == verdict


def test_a_line_breaks_where_nothing_is_known_and_ends_open_there():
    drawn = draw_line([10, 20, None, 30, None])

    assert drawn["path"].count("M") == 2
    assert drawn["path"].count("L") == 1
    assert drawn["open"]
    assert draw_line([None, None]) is None
    assert not draw_line([5])["open"]
    assert drawn["end"][1] == "3"  # the highest point, on its own scale


def test_what_all_specs_have_is_said_once():
    assert part_variants([["+mpi", "api=default"], ["~mpi", "api=default"]]) == (["api=default"], [["+mpi"], ["~mpi"]])
    assert part_variants([]) == ([], [])


def test_no_name_that_spack_would_not_give_reaches_a_shell():
    good = "a" * 32
    assert make_command("hdf5", good) == "spack install --cache-only hdf5/aaaaaaa"
    assert make_command("a; rm -rf ~", good) == f"spack install --cache-only /{good}"
    assert make_command("hdf5", "$(reboot)") is None


def read_titles(path):
    return [one.text for one in ElementTree.parse(path).iter(f"{{{ATOM}}}title")]


def test_feeds_of_the_site_a_stack_and_a_package_have_its_losses(site):
    lost = "e4s lost lima and 1 that went with it"

    assert lost in read_titles(site / "feed.atom")
    assert lost in read_titles(site / "stack/e4s/feed.atom")
    assert lost not in read_titles(site / "stack/__proto__/feed.atom")
    for package in ("lima", "qemu"):
        assert lost in read_titles(site / f"package/{package}/feed.atom"), "the package's own, and that it went with"
    assert lost not in read_titles(site / "package/zlib/feed.atom")
    links = [one.get("href") for one in ElementTree.parse(site / "feed.atom").iter(f"{{{ATOM}}}link")]
    for link in links:
        assert link.startswith(BASE_URL)
        assert (site / unquote(link.removeprefix(BASE_URL))).is_file()
    # The day of a release is its own, and that of develop the one of the snapshot that it is compared with.
    days = {
        entry.findtext(f"{{{ATOM}}}id").split(":")[-1].partition("/")[0]: entry.findtext(f"{{{ATOM}}}updated")[:10]
        for entry in ElementTree.parse(site / "feed.atom").iterfind(f"{{{ATOM}}}entry")
    }
    assert days == {THIRD: THIRD[8:], "develop": SECOND[8:]}


def test_badges_count_what_the_caches_have(site):
    held = packages_of(THIRD)
    for stack in ("e4s", PROTO):
        assert read_data(site, "stack", stack, "badge.json")["message"] == f"{len(held[stack])} packages"
    assert read_data(site, "stack", "hep", "badge.json")["message"] == "unknown"
    zlib = read_data(site, "package", "zlib", "badge.json")
    assert (zlib["label"], zlib["message"]) == ("zlib", f"in {len(held)} of {len(held)} stacks")
    assert read_data(site, "package", "umpire", "badge.json")["message"] == "no binary"


def test_the_status_is_that_of_the_sources_and_is_renewed_where_nothing_changed(warehouse, copy):
    status = read_status((copy / STATUS).read_bytes())

    assert status.data_through == dt.date(2025, 3, 23)
    assert status.manifest == hashlib.sha256((copy / MANIFEST).read_bytes()).hexdigest()
    assert status.sources["failed"] == 1
    assert [one["state"] for one in status.not_loaded] == ["failed"]
    assert status.read_on == read_looked_on(Layout(warehouse).current)
    (copy / STATUS).write_bytes(encode_status(status, dt.date(2020, 1, 1)))
    assert publish(warehouse, copy, base_url=BASE_URL).written == 0
    assert read_status((copy / STATUS).read_bytes()) == status


def test_what_is_gone_has_a_badge_that_says_so_and_keeps_its_feed(warehouse, copy, tmp_path):
    before = (copy / "package/lima/feed.atom").read_bytes()
    only = build_site_warehouse(tmp_path, without=tuple({snapshot for snapshot, _ in CACHES} - {"package"}))
    publish(only, copy, base_url=BASE_URL)

    assert read_data(copy, "package", "lima", "badge.json")["message"] == "no binary"
    assert (copy / "package/lima/feed.atom").read_bytes() == before


def test_a_package_says_what_installs_and_what_it_lacks(tmp_path):
    """One spec whose part was not pushed, one whose part no index describes, one that lacks nothing."""
    hole = pushed(9, "zlib")
    hole["in_buildcache"] = False
    records = [
        pushed(1, "app", edge(9, "zlib")),
        pushed(2, "app", edge(8, "bzip2")),
        pushed(3, "app"),
        pushed(4, "lone", edge(9, "zlib")),
        hole,
    ]
    write_v2(tmp_path / "caches" / "develop-2025-03-30" / "e4s", make_index(records))
    build([tmp_path / "caches"], tmp_path / "w", jobs=1)
    publish_site(Layout(tmp_path / "w"), tmp_path / "site", Wanted((), []))
    app = json.loads((tmp_path / "site/package/app/index.json").read_text())
    stack = json.loads((tmp_path / "site/stack/e4s/index.json").read_text())

    assert {one["hash"]: one["installable"] for one in app["specs"]} == {
        make_hash(1): False,
        make_hash(2): False,
        make_hash(3): True,
    }
    assert [(one["hash"], one["missing_package"], one["reason"]) for one in app["missing"]] == [
        (make_hash(1), "zlib", "hole"),
        (make_hash(2), "bzip2", "unknown"),
    ]
    page = (tmp_path / "site/package/app/index.html").read_text()
    assert "1 of 3 install without building" in page
    assert f"spack install --cache-only app/{make_hash(3)[:7]}" in page.partition("<h2 id=")[0]
    assert f"lacks zlib/{make_hash(9)[:7]}, which was not pushed" in page
    assert "Its one spec does not install without building" in (tmp_path / "site/package/lone/index.html").read_text()
    assert (stack["installable"], stack["installable_known"]) == (1, 4)
    assert "1 of 4 specs" in (tmp_path / "site/stack/e4s/index.html").read_text()


def test_a_version_may_be_wider_than_its_column_where_its_bar_goes_on():
    here, named, lost = Cell("here"), Cell("newer", "1.22.1"), Cell("lost", "-")
    long = named._replace(text="2025.03.23")
    rows = [
        ([named, here, lost], True),
        ([named, lost, here], False),
        ([named, named], False),
        ([named], False),
        ([long, here, here], True),
        ([long, here, lost], False),
    ]

    assert [find_room(cells)[0].room for cells, _ in rows] == [room for _, room in rows]


def test_a_stack_s_chart_has_a_column_for_each_snapshot_and_breaks_where_nothing_is_known():
    def column(packages, gained=0, lost=0, opens=False):
        return {"packages": packages, "gained": gained, "lost": lost, "opens": opens}

    drawn = draw_chart(
        [column(5), column(10, 4, opens=True), column(20, 10, 2), None, column(None), column(15, lost=5)]
    )

    assert (drawn["low"], drawn["high"], drawn["width"]) == (5, 20, 600)
    # A release alone, two weeks that are joined, and one after what is not known; the most packages are highest.
    assert re.findall(r"([ML])(\d+) ([\d.]+)", drawn["path"]) == [
        ("M", "50", "68"),
        ("M", "150", "48.7"),
        ("L", "250", "10"),
        ("M", "550", "29.3"),
    ]
    assert [(bar["x"], bar["height"]) for bar in drawn["gained"]] == [(138, "8"), (238, "20")]
    assert [(bar["x"], bar["height"]) for bar in drawn["lost"]] == [(238, "4"), (538, "10")]
    assert draw_chart([column(5), None]) is None
