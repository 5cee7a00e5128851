"""The site's numbers against SQL, and against its pages in plain Python: of the sample, and of many snapshots."""

import json
import random
import re
import shutil
from collections import Counter
from itertools import chain
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from pipeline.build import build
from pipeline.layout import Layout
from pipeline.publish.facts import TREND
from pipeline.publish.feed import ATOM, MOST
from pipeline.publish.shown import draw_line
from pipeline.publish.site import Wanted, publish_site
from tests.makers import SAMPLE, ask, make_hash, make_spec, write_pages
from tests.plain import PlainPages, kind_of, order_version
from tests.reading import read_data, read_page

WEEKS = ("2025-03-02", "2025-03-09", "2025-03-23", "2025-03-30", "2025-04-06")
"""The week of March 16 has no snapshot."""
SNAPSHOTS = ("v0.22.1", "v0.23.0", *(f"develop-{week}" for week in WEEKS), "develop")
BUILDS = {
    "e4s": [("linux", "ubuntu22.04", "x86_64_v3")],
    "e4s-arm": [("linux", "ubuntu22.04", "aarch64"), ("linux", "rhel8", "neoverse_v2")],
    "tools": [("darwin", "sequoia", "aarch64")],
    "hep": [("linux", "ubuntu22.04", "x86_64_v3"), ("linux", "rhel8", "x86_64_v3")],
    "mixed": [("linux", "ubuntu22.04", "x86_64_v3"), ("darwin", "sequoia", "aarch64")],
    "removed": [("linux", "ubuntu22.04", "x86_64_v3")],
    "young": [("linux", "ubuntu22.04", "x86_64_v3")],
}
PACKAGES = [f"p{number}" for number in range(14)]
VERSIONS = ("1.2", "1.9", "1.10", "1.10.1", "2.0")


def make_corpus(seed: int = 3):
    """Pages in which stacks and packages come, leave and return, specs are replaced and built again, and some are
    held by several stacks, by root alone, or differ from another in nothing but the hash.
    """
    draw = random.Random(seed)
    numbers = iter(range(1, 100_000))

    def draw_spec(stack):
        platform, os, target = draw.choice(BUILDS[stack])
        return make_spec(
            next(numbers),
            compiler=draw.choice(["gcc@11.4.0", "gcc@12.3.0", "none"]),
            os=os,
            platform=platform,
            size=draw.choice(["-", "1000", "2048"]),
            stacks=[stack, *(["root"] if draw.random() < 0.8 else [])],
            target=target,
            variants=[draw.choice(["+mpi", "~mpi"]), "build_system=cmake"],
            versions=[draw.choice(VERSIONS)],
        )

    def change_spec(spec):
        changed = {"hash": make_hash(next(numbers))}
        kind = draw.choice(["rebuilt", "versions", "variants", "compiler", "stacks"])
        if kind == "stacks":
            return {**spec, "stacks": sorted({*spec["stacks"], draw.choice(["e4s", "hep"])})}
        values = {"versions": [draw.choice(VERSIONS)], "variants": ["~mpi", "+hl"], "compiler": "gcc@13.1.0"}
        return {**spec, **changed, **({kind: values[kind]} if kind in values else {})}

    held = {
        package: [draw_spec(stack) for stack in BUILDS for _ in range(draw.choice([0, 0, 1, 2])) if stack != "young"]
        for package in PACKAGES
    }
    held["rooted"] = [make_spec(next(numbers), stacks=["root"])]
    pages = {}
    for snapshot in SNAPSHOTS:
        absent = set(draw.sample(PACKAGES, 2))
        for package, specs in held.items():
            if snapshot == f"develop-{WEEKS[2]}" and package in PACKAGES[:5]:
                specs.append(draw_spec("young"))
            if snapshot == f"develop-{WEEKS[3]}":
                specs[:] = [spec for spec in specs if "removed" not in spec["stacks"]]
            if package not in absent and specs:
                pages[snapshot, package] = [dict(spec) for spec in specs]
            specs[:] = [change_spec(spec) if draw.random() < 0.3 else spec for spec in specs if draw.random() > 0.08]
            if specs and draw.random() < 0.3:
                specs.append({**draw.choice(specs), "hash": make_hash(next(numbers))})
            if package in PACKAGES and draw.random() < 0.2:
                specs.append(draw_spec(draw.choice(["e4s", "tools", "mixed"])))
    return pages


def make_sites(folder):
    shutil.copytree(SAMPLE, folder / "sample" / "source")
    write_pages(folder / "many" / "source", make_corpus())
    for name in ("sample", "many"):
        build([folder / name / "source"], folder / name / "warehouse", jobs=1)
        publish_site(Layout(folder / name / "warehouse"), folder / name / "site", Wanted((), []))


@pytest.fixture(scope="module", params=["sample", "many"])
def made(request, build_once):
    """A site, its warehouse, what its pages say in plain Python, and the data of its front page."""
    folder = build_once("site-numbers", make_sites) / request.param
    front = json.loads((folder / "site" / "front.json").read_text())
    return SimpleNamespace(
        site=folder / "site",
        warehouse=folder / "warehouse",
        plain=PlainPages(folder / "source"),
        front=front,
        focus=front["focus"],
        name=request.param,
    )


def read_snapshots(made):
    return {name: read_data(made.site, "snapshot", name) for name in made.plain.specs}


def test_the_corpus_has_what_is_to_be_counted(build_once):
    plain = PlainPages(build_once("site-numbers", make_sites) / "many" / "source")
    causes = {cause for snapshot in plain.specs for _, _, cause in plain.gone_specs(snapshot)}

    assert {"package gone from the stack", "stack removed", "version replaced", "unknown"} < causes
    assert any(plain.redundant(snapshot, stack) for snapshot in plain.specs for stack in plain.stacks(snapshot))
    assert any(plain.moved(snapshot)["left"] and plain.moved(snapshot)["came"] for snapshot in plain.specs)
    assert {plain.state(plain.focus(), stack) for stack in plain.all_stacks()} == {"held", "removed"}
    assert plain.state("v0.23.0", "young") == "not begun"


def test_snapshots_have_the_figures_of_their_pages(made):
    for name, data in read_snapshots(made).items():
        before = made.plain.previous(name)
        moved = made.plain.moved(name)

        assert data["previous"] == before
        assert data["packages"] == len(made.plain.packages(name))
        assert data["specs"] == len(made.plain.hashes(name))
        assert data["stacks_held"] == len(made.plain.stacks(name))
        assert data["kept"] == pytest.approx(made.plain.kept(name))
        names = {"came": "came", "left": "left", "unknown": "unknown", "unknown_before": "unknown gains"}
        assert {key: set(data[key]) for key in names} == {key: moved[name] for key, name in names.items()}
        assert (data["before"] or {}).get("packages") == (len(made.plain.packages(before)) if before else None)


def test_the_front_page_is_about_the_newest_week_and_lists_all(made):
    snapshots = read_snapshots(made)
    assert made.focus["snapshot"] == made.plain.focus()
    assert (
        made.focus.items()
        >= {key: value for key, value in snapshots[made.plain.focus()].items() if key not in ("kind", "format")}.items()
    )
    assert {one["snapshot"] for one in made.front["snapshots"]} == set(snapshots)
    for one in made.front["snapshots"]:
        data = snapshots[one["snapshot"]]
        assert all(one[key] == len(data[key]) for key in ("came", "left", "unknown"))
        assert one["change"] == (data["packages"] - data["before"]["packages"] if data["before"] else None)
    share = (len(made.focus["came"]) - len(made.focus["left"])) / (made.focus["before"] or {"packages": 1})["packages"]
    verdict = "steady" if abs(share) < 0.005 else "better" if share > 0 else "worse"
    if made.name == "sample":
        # Its weeks have pages of different packages: of all that were there nothing is known.
        verdict = "unknown"
        assert "Not comparable with 2025-03-16 No package is proven" in read_page(made.site).text
    assert made.focus["verdict"] == (verdict if made.focus["before"] else None)


def test_stacks_of_a_snapshot_have_the_figures_of_the_pages(made):
    for name, data in read_snapshots(made).items():
        before = made.plain.previous(name)
        listed = made.plain.stacks(name) | (made.plain.stacks(before) if before else set())
        causes = Counter((place[0], cause) for place, _, cause in made.plain.gone_specs(name))
        assert {row["stack"] for row in data["stacks"]} == listed
        for row in data["stacks"]:
            stack, moved = row["stack"], made.plain.moved(name, row["stack"])
            assert row["state"] == made.plain.state(name, stack)
            assert row["specs"] == len(made.plain.stack_specs(name, stack))
            assert (row["gained"], row["lost"]) == (len(moved["came"]), len(moved["left"]))
            assert row["unknown"] == len(moved["unknown"] | moved["unknown gains"])
            replaced = sum(number for (of, cause), number in causes.items() if of == stack and "replaced" in cause)
            assert (row["replaced"], row["rebuilt"]) == (replaced, causes[stack, "unknown"])
            assert row["trend"] == made_trend(made.plain, name, stack)
            assert {one["head"] for one in row["losses"]} == moved["left"], "pages name no dependencies: each is a head"
            assert set(row["gains"]) == moved["came"]
            if row["state"] != "unknown":
                assert row["packages"] == len(made.plain.packages(name, stack))
                change = row["packages"] - len(made.plain.packages(before, stack)) if before else None
                assert row["change"] == change
                assert row["kept"] == pytest.approx(made.plain.kept(name, stack))


def made_trend(plain, snapshot, stack):
    """What a stack's line shows: nothing where there is no snapshot, and where it is not known or not there yet."""
    states = {week: plain.state(week, stack) for week in plain.weeks(snapshot, TREND) if week}
    return [
        len(plain.packages(week, stack)) if states.get(week) in ("held", "removed") else None
        for week in plain.weeks(snapshot, TREND)
    ]


def test_trends_are_those_of_the_weeks_and_break_where_one_has_no_snapshot(made):
    for name, data in read_snapshots(made).items():
        weeks = made.plain.weeks(name, TREND)
        assert data["trends"] == {
            "packages": [week and len(made.plain.packages(week)) for week in weeks],
            "specs": [week and len(made.plain.hashes(week)) for week in weeks],
            "stacks": [week and len(made.plain.stacks(week)) for week in weeks],
        }
    lines = [row["trend"] for row in made.focus["stacks"]]
    for values in lines:
        drawn = draw_line(values)
        known = [(at, value) for at, value in enumerate(values) if value is not None]
        places = [tuple(map(float, place.split(" "))) for place in re.findall(r"[ML]([\d. ]+)", drawn["path"])]
        assert len(places) == len(known)
        # Left to right by weeks, and the more packages the higher.
        assert sorted(places) == places
        order = sorted(zip(known, places, strict=True), key=lambda one: one[0][1])
        heights = [place[1] for _, place in order]
        assert heights == sorted(heights, reverse=True)


def test_causes_are_those_of_the_pages_and_of_the_macro(made):
    for name, data in read_snapshots(made).items():
        counted = Counter(cause for _, _, cause in made.plain.gone_specs(name))
        assert {row["cause"]: row["specs"] for row in data["causes"]} == counted
        places = {(cause, place) for place, _, cause in made.plain.gone_specs(name)}
        for row in data["causes"]:
            of = [place for cause, place in places if cause == row["cause"]]
            assert (row["stacks"], row["packages"]) == tuple(len({place[at] for place in of}) for at in (0, 1))
        if before := made.plain.previous(name):
            rows = ask(made.warehouse, f"select cause, sum(specs) from lost('{before}', '{name}') group by cause")
            assert dict(rows) == counted


def test_losses_gains_and_newer_versions_are_those_of_the_pages(made):
    for name, data in read_snapshots(made).items():
        stacks = {row["stack"] for row in data["stacks"]}
        moved = {stack: made.plain.moved(name, stack) for stack in stacks}
        for key, noun, package in (("losses", "left", "head"), ("gains", "came", "package")):
            listed = {(one[package], stack) for one in data[key] for stack in one["stacks"]}
            assert listed == {(one, stack) for stack in stacks for one in moved[stack][noun]}
        for one in data["losses"]:
            holders = {stack for stack in stacks if one["head"] in made.plain.packages(name, stack)}
            assert (one["times"], one["still_in"]) == (len(one["stacks"]), len(holders))
        assert [one["package"] for one in data["gains"] if one["new"]] == sorted(made.plain.moved(name)["came"])
        before = made.plain.previous(name)
        newest = {
            one: (made.plain.latest(before, one) if before else None, made.plain.latest(name, one))
            for one in made.plain.packages(name)
        }
        newer = {
            one: versions
            for one, versions in newest.items()
            if versions[0] and order_version(versions[1]) > order_version(versions[0])
        }
        assert {one["package"]: (one["before"], one["now"]) for one in data["newer"]} == newer
        for one in data["newer"]:
            of = [stack for stack in stacks if one["package"] in made.plain.packages(name, stack)]
            latest = [made.plain.latest(name, one["package"], stack) for stack in of]
            assert (one["stacks_with"], one["stacks"]) == (latest.count(one["now"]), len(of))


def test_the_movers_lost_the_most(made):
    rows = [row for row in made.focus["stacks"] if row["lost"] or row["gained"]]
    moved = {row["stack"]: made.plain.moved(made.plain.focus(), row["stack"]) for row in rows}
    ranked = sorted(moved, key=lambda stack: (-len(moved[stack]["left"]), -len(moved[stack]["came"]), stack))

    assert [row["stack"] for row in made.front["movers"]] == ranked[:3]


def test_packages_have_the_history_of_their_pages(made):
    focus = made.plain.focus()
    for package in sorted({one for packages in made.plain.specs.values() for one in packages}):
        data = read_data(made.site, "package", package)
        order = [one["snapshot"] for one in data["snapshots"]]
        holders = [stack for stack in made.plain.all_stacks() if package in made.plain.packages(focus, stack)]
        ever = made.plain.stacks_ever(package)

        assert data["stacks"] == len(made.plain.stacks(focus))
        assert data["newest_version"] == made.plain.latest(focus, package)
        assert {row["stack"] for row in data["history"]} == ever
        for row in data["history"]:
            stack = row["stack"]
            specs = [made.plain.held[name].get((stack, package), {}) for name in order]
            versions = [{spec["versions"][0] for spec in held.values()} for held in specs]
            assert row["versions"] == [max(held, key=order_version, default=None) for held in versions]
            assert row["other_versions"] == [max(len(held) - 1, 0) for held in versions]
            assert row["specs"] == list(map(len, specs))
            assert row["known"] == [made.plain.is_known(name, stack, package) for name in order]
            assert (row["state"] == "unknown") == (not made.plain.is_known(focus, stack, package))
            behind = made.plain.behind(focus, package, stack) if stack in holders else None
            assert row["versions_behind"] == behind
        if holders:
            assert data["snapshot"] == focus
        listed = {one["hash"]: (set(one["stacks"]), one["in_root"]) for one in data["specs"]}
        assert listed == {
            spec["hash"]: (set(spec["stacks"]) - {"root"}, "root" in spec["stacks"])
            for spec in made.plain.specs[data["snapshot"]][package]
        }
        expected = {gap for gap in made.plain.gaps(focus) if gap[1] == package}
        assert {(gap["stack"], package, gap["platform"], gap["held_by"]) for gap in data["gaps"]} == expected


def test_a_package_s_events_are_what_its_pages_lost_and_gained(made):
    for package in sorted({one for packages in made.plain.specs.values() for one in packages}):
        data = read_data(made.site, "package", package)
        written, expected = Counter(), Counter()
        for one in data["changes"]:
            if one["change"] == "lost":
                written[one["snapshot"], one["stack"], one["cause"]] += one["specs"]
        for snapshot in made.plain.specs:
            for place, _, cause in made.plain.gone_specs(snapshot):
                if place[1] == package:
                    expected[snapshot, place[0], cause] += 1
        assert written == expected
        gained = {(one["snapshot"], one["stack"]) for one in data["changes"] if one["change"] == "gained"}
        came = {
            (snapshot, stack)
            for snapshot in made.plain.specs
            for stack in made.plain.stacks(snapshot)
            if package in made.plain.moved(snapshot, stack)["came"] | made.plain.moved(snapshot, stack)["unknown gains"]
        }
        assert gained == came


def test_a_package_s_page_shows_the_figures_of_the_pages(made):
    focus = made.plain.focus()
    for package in sorted({one for packages in made.plain.specs.values() for one in packages}):
        page = read_page(made.site, "package", package)
        holders = [stack for stack in made.plain.stacks(focus) if package in made.plain.packages(focus, stack)]
        seen = [one for one in made.plain.specs if package in made.plain.packages(one)]
        seen.sort(key=lambda one: (kind_of(one) == "develop", made.plain.line(one).index(one)))
        if weekly := [one for one in seen if kind_of(one) == "develop"]:
            assert f"First seen in {weekly[0]}." in page.text
        if holders:
            assert f"in {len(holders)} of {len(made.plain.stacks(focus))} stack" in page.text
            assert f"Newest is {made.plain.latest(focus, package)}." in page.text
        elif any(not made.plain.is_known(focus, stack, package) for stack in made.plain.all_stacks()):
            assert "nothing is known" in page.text
        else:
            # Of weekly ones and develop the newest that has it; a release where none has.
            where = f"Last seen in {seen[-1]}." if seen else "It stands in the root mirror alone."
            assert f"No binary in any stack of {focus}. {where}" in page.text


def test_stacks_have_the_figures_of_the_pages_and_of_sql(made):
    focus = made.plain.focus()
    for stack in sorted(made.plain.all_stacks()):
        data = read_data(made.site, "stack", stack)
        name = data["snapshot"]
        specs = made.plain.stack_specs(name, stack)
        sizes = [int(spec["size"]) for spec in specs.values() if spec["size"] != "-"]
        history = {one["snapshot"]: one for one in data["history"]}

        assert (name == focus) == (stack in made.plain.stacks(focus))
        assert data["state"] == made.plain.state(focus, stack)
        assert data["packages"] == len(made.plain.packages(name, stack))
        assert data["packages_of_snapshot"] == len(made.plain.packages(name))
        assert data["specs"] == len(specs)
        assert data["redundant"] == made.plain.redundant(name, stack)
        assert (data["bytes"] or 0, data["sized"]) == (sum(sizes), len(sizes))
        assert data["in_root"] == sum("root" in spec["stacks"] for spec in specs.values())
        assert {(one["package"], one["version"], one["versions_behind"]) for one in data["held"]} == {
            (one, made.plain.latest(name, one, stack), made.plain.behind(name, one, stack))
            for one in made.plain.packages(name, stack)
        }
        assert {(stack, gap["package"], gap["platform"], gap["held_by"]) for gap in data["gaps"]} == {
            gap for gap in made.plain.gaps(name) if gap[0] == stack
        }
        others = {one: made.plain.stack_specs(name, one).keys() & specs for one in made.plain.stacks(name) - {stack}}
        assert {one["other"]: one["specs"] for one in data["shared"]} == {
            one: len(hashes) for one, hashes in others.items() if hashes
        }
        builds = Counter((spec["platform"], spec["os"], spec["target"]) for spec in specs.values())
        assert {(one["platform"], one["os"], one["target"]): one["specs"] for one in data["built_for"]} == builds
        compilers = Counter(spec["compiler"].replace("@=", "@") for spec in specs.values())
        assert {one["compiler"]: one["specs"] for one in data["compilers"]} == compilers
        for snapshot, row in history.items():
            moved, state = made.plain.moved(snapshot, stack), made.plain.state(snapshot, stack)
            assert row["state"] == state
            assert row["specs"] == len(made.plain.stack_specs(snapshot, stack))
            assert (row["gained"], row["lost"]) == (len(moved["came"]), len(moved["left"]))
            known = len(made.plain.packages(snapshot, stack)) if state in ("held", "removed") else None
            assert row["packages"] == known
            if state != "unknown":
                assert row["kept"] == pytest.approx(made.plain.kept(snapshot, stack))
        by_sql = ask(
            made.warehouse,
            f"select packages, specs from summary_by_stack where snapshot = '{name}' and stack = '{stack}'",
        )
        assert by_sql == [(data["packages"], data["specs"])]


def test_the_lists_of_packages_and_stacks_have_the_same_figures(made):
    focus = made.plain.focus()
    packages = {one["package"]: one for one in read_data(made.site, "package")["packages"]}
    stacks = {one["stack"]: one for one in read_data(made.site, "stack")["stacks"]}

    assert set(packages) == {one for pages in made.plain.specs.values() for one in pages}
    for name, one in packages.items():
        holders = [stack for stack in made.plain.stacks(focus) if name in made.plain.packages(focus, stack)]
        assert (one["stacks"], one["newest_version"]) == (len(holders), made.plain.latest(focus, name))
    assert set(stacks) == made.plain.all_stacks()
    for name, one in stacks.items():
        assert one["packages"] == len(made.plain.packages(one["snapshot"], name))
        assert one["specs"] == len(made.plain.stack_specs(one["snapshot"], name))


def test_badges_and_feeds_have_the_same_figures(made):
    focus = made.plain.focus()
    lost = {
        (snapshot, stack, package)
        for snapshot in made.plain.specs
        for stack in made.plain.all_stacks()
        for package in made.plain.moved(snapshot, stack)["left"]
    }
    assert len(lost) <= MOST
    for folder, at in (((), None), *((("stack", one), 1) for one in sorted(made.plain.all_stacks()))):
        feed = ElementTree.parse(made.site.joinpath(*folder, "feed.atom"))
        written = [one.text for one in feed.iterfind(f"{{{ATOM}}}entry/{{{ATOM}}}id")]
        expected = ["urn:spack-warehouse:lost:" + "/".join(one) for one in lost if at is None or one[at] == folder[1]]
        assert sorted(written) == sorted(expected)
    for stack in made.plain.all_stacks():
        number = len(made.plain.packages(focus, stack))
        known = made.plain.state(focus, stack) in ("held", "removed")
        message = f"{number} package{'' if number == 1 else 's'}" if known else "unknown"
        assert read_data(made.site, "stack", stack, "badge.json")["message"] == message
    total = len(made.plain.stacks(focus))
    for package in {one for packages in made.plain.specs.values() for one in packages}:
        number = sum(package in made.plain.packages(focus, stack) for stack in made.plain.stacks(focus))
        known = all(made.plain.is_known(focus, stack, package) for stack in made.plain.stacks_ever(package))
        nothing = "no binary" if known else "unknown"
        message = f"in {number} of {total} stack{'' if total == 1 else 's'}" if number else nothing
        assert read_data(made.site, "package", package, "badge.json")["message"] == message


def test_the_status_is_of_the_newest_week(made):
    status = read_data(made.site, "status.json")
    pages = sum(map(len, made.plain.specs.values()))

    assert status["data_through"] == made.plain.focus().removeprefix("develop-")
    assert sum(status["sources"].values()) == sum(
        number for (number,) in ask(made.warehouse, "select count(*) from sources")
    )
    assert ask(made.warehouse, "select count(*) from pages") == [(pages,)]


def test_front_and_stack_pages_show_the_figures_of_the_pages(made):
    focus = made.plain.focus()
    front = read_page(made.site)
    before = made.plain.previous(focus)
    rows = {row[0].split()[0]: row for row in front.rows("Stacks")}
    for stack, row in rows.items():
        moved = made.plain.moved(focus, stack)
        state = made.plain.state(focus, stack)
        if state == "unknown":
            continue
        counted = len(made.plain.packages(focus, stack))
        change = counted - len(made.plain.packages(before, stack)) if before else None
        assert row[1:3] == [f"{counted}", "?" if change is None else show_signed(change)]
        assert row[4:7:2] == [show_signed(-len(moved["left"])), show_signed(len(moved["came"]))]
    figures = {"Packages": made.plain.packages, "Specs": made.plain.hashes, "Stacks": made.plain.stacks}
    shown = dict(re.findall(r'<h3>(\w+)</h3><p class="big">([\d,]+)', (made.site / "index.html").read_text()))
    assert shown.items() >= {name: f"{len(list_of(focus))}" for name, list_of in figures.items()}.items()
    for stack in sorted(made.plain.all_stacks()):
        page, data = read_page(made.site, "stack", stack), read_data(made.site, "stack", stack)
        check_weeks(made.plain, page.tables["History"], stack)
        if made.plain.state(focus, stack) == "removed":
            line = made.plain.line(focus)
            first = line[line.index(data["snapshot"]) + 1]
            assert f"Not in {focus}. Removed in {first}. This is what {data['snapshot']} has." in page.text
        at_newest = sum(made.plain.behind(data["snapshot"], one["package"], stack) == 0 for one in data["held"])
        assert f"{at_newest} of {len(data['held'])} package" in page.text
        assert f"; {made.plain.redundant(data['snapshot'], stack)} redundant" in page.text


def check_weeks(plain, table, stack):
    """The columns of a stack's history: of each snapshot what its pages say."""
    rows = {row[0].split()[0]: row for row in table[1:]}
    places = {name: table[0].index(name.removeprefix("develop-2025-")) for name in plain.specs}
    for name, at in places.items():
        shown = {key: row[at] for key, row in rows.items() if len(row) == len(table[0])}
        if plain.state(name, stack) not in ("held", "removed"):
            assert set(shown.values()) <= {"", "? not known"}
            continue
        moved = plain.moved(name, stack)
        assert shown["packages"] == str(len(plain.packages(name, stack)))
        assert shown["specs"] == str(len(plain.stack_specs(name, stack)))
        if plain.previous(name):
            assert shown["lost"] == show_signed(-len(moved["left"]))
            assert shown["gained"] == show_signed(len(moved["came"]))


def show_signed(number):
    return f"{number:+}".replace("-", "\N{MINUS SIGN}") if number else "0"


def test_every_difference_to_the_snapshot_before_is_counted_once(made):
    for name in made.plain.specs:
        if not made.plain.previous(name):
            continue
        written = read_data(made.site, "snapshot", name, "changes.json")["changes"]
        lost = sum(one["specs"] for one in written if one["change"] == "lost")
        assert lost == len(list(made.plain.gone_specs(name)))
        gained = {(one["stack"], one["package"]) for one in written if one["change"] == "gained"}
        moved = [(stack, made.plain.moved(name, stack)) for stack in made.plain.stacks(name)]
        assert gained == set(
            chain.from_iterable(
                [(stack, package) for package in one["came"] | one["unknown gains"]] for stack, one in moved
            )
        )
