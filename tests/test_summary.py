"""A summary says what the warehouse holds, shows the data's texts as they are, and is never too long."""

import re
from html import unescape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.build import build
from pipeline.layout import Layout
from pipeline.report.export import export_reports
from pipeline.report.summary import LONGEST, SHOWN_CHANGES, SHOWN_GAPS, SHOWN_LOST, escape, make_table
from tests.makers import ask, binary, build_pages, edge, make_hash, make_index, make_record, make_spec, write_v2

GITHUB_TAKES = 1024 * 1024
"""Bytes of a summary of one step of a workflow."""
OLD, NEW = "develop-2025-03-23", "develop-2025-03-30"


def render(text):
    """As GitHub renders it: tables, and no link but those of the text."""
    return MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"]).render(text)


def tables(text):
    """The cells of every table as a reader sees them."""
    found = []
    for table in re.findall(r"<table>(.*?)</table>", render(text), re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        found.append([[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows])
    return found


def summary(warehouse, snapshot=NEW):
    (export,) = export_reports(Layout(warehouse), formats=["markdown"], snapshots=[snapshot])
    assert (export.path, export.rows, export.columns) == ("summary.md", None, None)
    return (warehouse / "reports" / snapshot / "summary.md").read_text("utf-8")


def many_pages():
    """Two weeks: ``gone*`` are in the first alone, ``new*`` in the second; ``b`` lacks what ``a`` has."""
    pages = {}
    for number in range(40):
        pages[OLD, f"kept{number:02}"] = pages[NEW, f"kept{number:02}"] = [make_spec(number, stacks=["a", "root"])]
        pages[NEW, f"gone{number:02}"] = []
    for number in range(12):
        both = [make_spec(1000 + number, stacks=["a", "b", "root"])]
        pages[OLD, f"gone{number:02}"] = both
    for number in range(3):
        pages[NEW, f"new{number}"] = [make_spec(2000 + number, stacks=["c"], versions=["1", "2"][:1])]
    return pages


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return build_pages(tmp_path_factory.mktemp("markdown"), many_pages())


def test_head_figures_are_the_warehouses(warehouse):
    head = tables(summary(warehouse))[0]
    rows = {row[0]: row[1:] for row in head[1:]}
    counts = dict(ask(warehouse, "select snapshot, [packages, specs] from snapshots"))

    assert head[0] == ["", NEW, OLD, "change"]
    assert rows["date"] == ["2025-03-30", "2025-03-23", ""]
    for at, name in enumerate(("packages", "specs")):
        new, old = counts[NEW][at], counts[OLD][at]
        assert rows[name] == [str(new), str(old), f"{new - old:+}"]
    assert rows["stacks"] == ["2", "2", "0"]


def test_lost_and_gained_are_listed_packages_first(warehouse):
    text = summary(warehouse)
    by_header = {tuple(table[0]): table[1:] for table in tables(text)}

    lost = by_header["package", "stacks that had it", "specs"]
    assert lost == [[f"gone{number:02}", "a, b", "1"] for number in range(12)]
    assert sum(int(row[2]) for row in by_header["cause", "packages", "specs", "stacks"]) == 24
    assert by_header["stack", "packages", "new configurations"] == [["c", "3", "3"]]
    assert by_header["package", "new configurations", "versions"] == [[f"new{number}", "1", "1"] for number in range(3)]
    assert text.index("## Lost") < text.index("## Gained") < text.index("## Largest gaps")


def test_packages_that_left_the_snapshot_are_never_hidden_behind_those_that_are_elsewhere_still(tmp_path):
    pages = {}
    for number in range(SHOWN_CHANGES + 5):
        pages[OLD, f"elsewhere{number:02}"] = [make_spec(number, stacks=["a", "b", "c", "root"])]
        pages[NEW, f"elsewhere{number:02}"] = [make_spec(number, stacks=["c", "root"])]
        pages[OLD, f"zlost{number:02}"] = [make_spec(1000 + number, stacks=["a", "root"] if number else ["root"])]
    warehouse = build_pages(tmp_path, pages)
    text = summary(warehouse)
    by_header = {tuple(table[0]): table[1:] for table in tables(text)}
    held = "select package from specs where snapshot = "
    left = f"{held} '{OLD}' except {held} '{NEW}' order by package"

    names = [row[0] for row in by_header["package", "stacks that had it", "specs"]]
    assert sorted(names) == [package for (package,) in ask(warehouse, left)]
    assert len(names) == SHOWN_CHANGES + 5
    elsewhere = by_header["package", "stacks that lost it", "specs"]
    assert elsewhere == [[f"elsewhere{number:02}", "a, b", "2"] for number in range(SHOWN_CHANGES)]
    assert f"The first {SHOWN_CHANGES} of {SHOWN_CHANGES + 5} packages." in text
    assert text.index("zlost") < text.index("elsewhere")


def test_the_ten_largest_gaps_are_those_of_the_view(warehouse):
    text = summary(warehouse)
    order = "held_by desc, stack, package, platform"
    query = f"select package, stack, platform, held_by::varchar from gaps where snapshot = '{NEW}' order by {order}"
    expected = [list(row) for row in ask(warehouse, query)]

    assert len(expected) > SHOWN_GAPS
    assert tables(text)[-1][1:] == expected[:SHOWN_GAPS]
    assert f"The first 10 of {len(expected)} gaps." in text


def test_gaps_say_what_they_wait_for_where_indexes_do(tmp_path):
    app = make_record(make_spec(1), "app", dependencies=[edge(number, f"lib{number}") for number in range(2, 7)])
    full = [app, *(make_record(make_spec(number), f"lib{number}") for number in range(2, 7))]
    write_v2(tmp_path / "caches" / NEW / "full", make_index(full))
    write_v2(tmp_path / "caches" / NEW / "bare", make_index([make_record(make_spec(9), "zlib")]))
    build([tmp_path / "caches"], tmp_path / "w", jobs=1)
    header, *rows = tables(summary(tmp_path / "w"))[-1]

    assert header == ["package", "missing in", "platform", "stacks that have it", "state"]
    assert rows[0] == ["app", "bare", "linux", "1", "blocked by lib2, lib3, lib4 and 2 more"]
    assert ["lib2", "bare", "linux", "1", "ready"] in rows


def test_without_an_earlier_snapshot_it_says_so(warehouse):
    text = summary(warehouse, OLD)

    assert "No earlier snapshot" in text
    assert tables(text)[0][0] == ["", OLD]


@given(st.lists(st.text(max_size=LONGEST), min_size=1, max_size=4))
@example(["<script>alert(1)</script>", "a|b", "`x`", "two\nlines"])
@example(["![x](http://a/b)", "[x](y)", "~~x~~", "**x**", "_x_", "&amp;", "\\|", "\\"])
@settings(max_examples=300, deadline=None)
def test_any_text_shows_as_it_is(texts):
    shown = [" ".join("".join(c if c.isprintable() else " " for c in text).split()) for text in texts]
    ((header, row),) = tables("\n".join(make_table(["h"] * len(texts), [texts])))

    assert header == ["h"] * len(texts)
    assert row == shown


@pytest.mark.parametrize("text", ["gcc@11.4.0", "https://example.org", "www.example.org", "a_b_c"])
def test_nothing_of_the_data_is_a_link_or_emphasis(text):
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(escape(text))

    # GitHub links what looks like an address in plain text; behind a backslash it does not.
    assert "\\" in escape(text) or text == "a_b_c"
    assert unescape(rendered) == f"<p>{text}</p>\n"


@pytest.mark.slow
def test_a_summary_of_the_worst_texts_is_far_below_githubs_limit(tmp_path):
    pages = {}
    for number in range(120):
        odd = f"{number:03}" + "|`<&Ω" * 30
        stacks = [f"{chr(97 + at)}{'<|' * 60}" for at in range(26)]
        pages[OLD, odd] = [make_spec(number, stacks=[*stacks, "root"])]
        pages[NEW, odd] = []
        pages[NEW, "n" + odd[:100]] = [make_spec(1000 + number, stacks=[stacks[number % 26]], versions=["<" * 200])]
    text = summary(build_pages(tmp_path, pages))

    assert len(text.encode()) < GITHUB_TAKES // 2
    assert max(len(table) for table in tables(text)) == SHOWN_LOST + 1
    assert f"The first {SHOWN_LOST} of 120 packages." in text


def test_libcs_are_counted_where_a_source_says_them(tmp_path):
    glibc = make_spec(9, compiler="none", versions=["2.35"])
    external = {"path": "/usr", "module": None, "extra_attributes": {}}
    edge = {"name": "glibc", "hash": glibc["hash"], "parameters": {"deptypes": ["link"], "virtuals": ["libc"]}}
    records = [
        make_record(glibc, "glibc", in_buildcache=False, external=external),
        *(make_record(make_spec(number), "hdf5", dependencies=[edge]) for number in range(2)),
        make_record(make_spec(5, compiler="none"), "py-x"),
    ]
    write_v2(tmp_path / "source" / NEW / "e4s", make_index(records))
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    text = summary(tmp_path / "warehouse")
    assert [["libc", "packages", "specs"], ["glibc@2.35", "1", "2"], ["none needed", "1", "1"]] in tables(text)


def test_libcs_that_no_source_says_are_left_out(warehouse):
    assert "C library" not in summary(warehouse)


def test_what_does_not_install_is_counted_with_what_is_missing(tmp_path):
    lacking = [binary(number, "app", edge(50, "zlib")) for number in range(3)]
    other = [binary(10, "lib"), binary(11, "lib", edge(51, "xz")), binary(50, "zlib", in_buildcache=False)]
    write_v2(tmp_path / "source" / NEW / "e4s", make_index([*lacking, *other]))
    write_v2(tmp_path / "source" / NEW / "hep", make_index([lacking[0], binary(50, "zlib")]))
    write_v2(tmp_path / "source" / NEW / "radiuss", make_index([lacking[0], other[-1]]))
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    text = summary(tmp_path / "warehouse")
    by_header = {tuple(table[0]): table[1:] for table in tables(text)}

    # From hep the first of those that lack zlib installs.
    assert "## Installs without building\n\n3 of 6 specs do" in text
    assert by_header["stack", "specs", "installable"] == [["e4s", "5", "1"], ["radiuss", "1", "0"]]
    assert by_header["package", "hash", "reason", "specs", "stacks"] == [
        ["zlib", make_hash(50), "hole", "3", "2"],
        ["xz", make_hash(51), "unknown", "1", "1"],
    ]


def test_what_installs_is_left_out_where_no_source_says(warehouse):
    assert "without building" not in summary(warehouse)
