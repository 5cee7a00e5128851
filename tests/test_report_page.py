"""The page of a snapshot: what is encoded decodes to the same, nothing escapes its text, the same bytes again."""

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ask.diff import compare_with_previous
from pipeline.build import build
from pipeline.demo.corpus import generate
from pipeline.layout import Layout
from pipeline.report.columns import encode_column, encode_table
from pipeline.report.export import FILES, export_reports
from pipeline.report.page import (
    ASSETS,
    SCRIPTS,
    STYLES,
    list_libraries,
    pack,
    read_asset,
    render_page,
    show_size,
)
from pipeline.report.pagedata import collect
from pipeline.report.shared import Shared
from pipeline.store.database import open_database
from tests.makers import ask, build_pages, make_page, make_spec, write_page

PAGE = FILES["html"][1]
PAGES = Path(__file__).parent / "data" / "pages"
HOSTILE = "<script>alert(1)</script>"
MOST_BYTES = 6_000_000


def decode_column(encoded, rows):
    """What the page's own decoder (data.js) does."""
    if "c" in encoded:
        return [encoded["c"]] * rows
    if "w" in encoded:
        return [encoded["t"][row * encoded["w"] : (row + 1) * encoded["w"]] for row in range(rows)]
    if "v" in encoded:
        return encoded["v"]
    if "l" in encoded:
        lists = [[encoded["d"][code] for code in one] for one in encoded["l"]]
        return [None if code < 0 else lists[code] for code in encoded["i"]]
    return [None if code < 0 else encoded["d"][code] for code in encoded["i"]]


def decode_table(encoded):
    columns = [decode_column(column, encoded["rows"]) for column in encoded["columns"].values()]
    return list(map(list, zip(*columns, strict=True)))


class Reader(HTMLParser):
    """Elements as a browser finds them, with the text of scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.shown = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self.texts.append([tag, dict(attributes), ""])

    def handle_data(self, data):
        if self.cdata_elem:
            self.texts[-1][2] += data
        else:
            self.shown.append(data)


def render(warehouse, snapshot, files=(), in_site=False):
    with open_database(Layout(warehouse)) as connection:
        return render_page(compare_with_previous(connection, snapshot), Shared(connection), files, in_site)


def read_payload(html):
    data = next(text for tag, attributes, text in Reader(html).texts if attributes.get("id") == "data")
    return json.loads(zlib.decompress(base64.b64decode(data)))


@pytest.fixture(scope="module")
def warehouse(sample_copy):
    return sample_copy


@pytest.fixture(scope="module")
def page(warehouse):
    return render(warehouse, "develop")


texts = st.text(max_size=5) | st.sampled_from(["", "a", "</script>", "\u2028", "\0", "é", "☃"])
columns = st.one_of(
    st.lists(texts | st.none()),
    st.lists(st.text("ab", min_size=3, max_size=3)),
    st.lists(st.integers() | st.none()),
    st.lists(st.booleans()),
    st.lists(st.lists(texts, max_size=3) | st.none()),
)


@given(columns)
def test_a_column_decodes_to_itself(values):
    packed = json.loads(zlib.decompress(base64.b64decode(pack(encode_column(values)))))

    assert decode_column(packed, len(values)) == values


@given(st.lists(st.tuples(texts, st.integers(), st.lists(texts, max_size=2))))
def test_a_table_decodes_to_itself(rows):
    assert decode_table(encode_table(["a", "b", "c"], rows)) == [list(row) for row in rows]


def test_texts_stand_in_the_order_of_their_keys():
    encoded = encode_table(["version"], [("1.9",), ("1.10",), ("1.9",)], {"version": {"1.9": "a", "1.10": "b"}})

    assert encoded["columns"]["version"] == {"d": ["1.9", "1.10"], "i": [0, 1, 0]}


def test_hashes_take_no_more_than_their_letters():
    values = [f"{number:032x}" for number in range(100)]

    assert encode_column(values) == {"w": 32, "t": "".join(values)}


def test_the_page_holds_the_specs_of_the_view(warehouse, page):
    table = read_payload(page.html.decode())["tables"]["specs"]
    compilers = "coalesce(list_sort(list_distinct(map_values(compilers))), [compiler])"
    names = ", ".join(compilers if name == "compilers" else name for name in page.columns)
    expected = ask(warehouse, f"select {names} from specs where snapshot = 'develop' order by all")

    assert page.rows == len(expected) == 82
    assert sorted(decode_table(table), key=repr) == sorted(map(list, expected), key=repr)


def test_the_head_says_what_the_views_say(warehouse, page):
    shown = " ".join(" ".join(Reader(page.html.decode()).shown).split())
    facts = {
        "packages": "select packages from snapshots where snapshot = 'develop'",
        "specs": "select specs from snapshots where snapshot = 'develop'",
        "stacks": "select count(distinct stack) from coverage_by_stack where snapshot = 'develop'",
        "targets": "select count(distinct target) from specs where snapshot = 'develop'",
        "rejects": "select count(*) from rejects",
        "mismatches": "select count(*) from meta_mismatches",
    }
    for name, query in facts.items():
        assert f"{name} {ask(warehouse, query)[0][0]} " in shown
    # The sample has pages of other packages in each snapshot.
    assert "? Not comparable with develop-2025-03-30 No package is proven to have left or come." in shown
    ((read_on,),) = ask(warehouse, "select cast(max(read_on) as varchar) from sources where snapshot = 'develop'")
    assert f"It changes daily, and was read on {read_on}." in shown.replace(" .", ".")
    assert f'<time datetime="{read_on}" data-age>' in page.html.decode()


def test_the_page_of_a_week_has_its_own_date_alone(warehouse):
    html = render(warehouse, "develop-2025-03-16").html.decode()
    assert re.findall("<time [^>]*>", html) == ['<time datetime="2025-03-16" data-age>']
    assert read_payload(html)["facts"]["read_on"] is None


def test_the_first_snapshot_has_nothing_to_compare_with(warehouse):
    payload = read_payload(render(warehouse, "develop-2025-03-16").html.decode())

    assert payload["previous"] is None
    assert "lost" not in payload["tables"]


def test_what_is_lost_is_reported_with_its_cause_and_only_where_it_is_proven(tmp_path):
    before = [make_spec(1), make_spec(2, versions=["1.14.4"])]
    warehouse = build_pages(
        tmp_path,
        {
            ("develop-2025-03-16", "hdf5"): before,
            ("develop-2025-03-16", "gone"): [make_spec(3)],
            ("develop-2025-03-16", "also"): [make_spec(4)],
            ("develop-2025-03-23", "hdf5"): [make_spec(1)],
            ("develop-2025-03-23", "new"): [make_spec(5)],
            ("develop-2025-03-23", "also"): [make_spec(4)],
        },
    )
    with open_database(Layout(warehouse)) as connection:
        payload = collect(compare_with_previous(connection, "develop-2025-03-23"), Shared(connection))
        expected = connection.execute(
            "select change, package from hash_diff('develop-2025-03-16', 'develop-2025-03-23') "
            "where package in ('gone', 'new') order by change desc"
        ).fetchall()

    assert payload["previous"] == "develop-2025-03-16"
    turnover = decode_table(payload["tables"]["turnover"])
    assert [row[:2] for row in turnover if row[2]] == [list(row) for row in expected]
    assert {row[1] for row in turnover} == {"gone", "new"}
    lost = decode_table(payload["tables"]["lost"])
    assert ["hdf5", "e4s", "1.14.4", "gcc@11.4.0", "x86_64_v3", "version replaced", "1.14.5", 1] in lost


def test_the_same_warehouse_gives_the_same_bytes(page, tmp_path):
    build([PAGES], tmp_path / "again", jobs=2)

    assert render(tmp_path / "again", "develop").html == page.html


def test_the_policy_names_every_script_and_style_and_nothing_else(page):
    reader = Reader(page.html.decode())
    (policy,) = (
        attributes["content"]
        for tag, attributes in reader.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    allowed = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}

    def digests(tag):
        run = [text for kind, attributes, text in reader.texts if kind == tag and attributes.get("id") != "data"]
        return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in run]

    assert len(digests("script")) == len(SCRIPTS) + 1
    assert len(digests("style")) == len(STYLES)
    assert sorted(allowed["script-src"]) == sorted(digests("script"))
    assert sorted(allowed["style-src"]) == sorted(digests("style"))
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == ["'none'"]
    # Of its own host alone, for the pages of other snapshots.
    assert allowed["connect-src"] == ["'self'"]


def test_nothing_in_the_page_names_another_place(page):
    for tag, attributes in Reader(page.html.decode()).elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert re.match(r"#|data:image/svg|\.\./index\.html$|$", attributes.get(name, "")), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("hostile", [HOSTILE, "<!--", "</script><img src=x onerror=alert(1)>", '" onload="alert(1)'])
def test_text_of_the_data_makes_no_element(tmp_path, page, hostile):
    spec = make_spec(1, stacks=[hostile], versions=[hostile], target=hostile, variants=[hostile])
    warehouse = build_pages(tmp_path, {(hostile, hostile): [spec]})
    reader = Reader(render(warehouse, hostile).html.decode())
    plain = Reader(page.html.decode())

    def count(reader):
        return {tag: sum(1 for one, _ in reader.elements if one == tag) for tag in ("script", "img", "style", "body")}

    assert count(reader) == count(plain)
    assert hostile in reader.shown
    assert read_payload(render(warehouse, hostile).html.decode())["facts"]["snapshot"] == hostile


@pytest.mark.parametrize("name", ["theme.js", *SCRIPTS, *STYLES])
def test_an_asset_ends_where_its_element_does(name):
    text = read_asset(name)

    assert not re.search(r"</(script|style)|<!--", text, re.IGNORECASE)
    assert "sourceMappingURL" not in text
    assert not re.search(r"\burl\((?!['\"]?data:)|@import", text) or name.endswith(".js")


def test_libraries_are_as_they_were_published_and_their_licences_in_the_page(page):
    shown = "".join(Reader(page.html.decode()).shown)
    named = {"vendor.json"}
    for library in list_libraries():
        for name, digest in library["files"].items():
            data = (ASSETS / "vendor" / name).read_bytes()
            assert hashlib.sha512(data).hexdigest() == digest
            named.add(name)
        assert f"{library['name']} {library['version']} ({library['licence']})" in shown
        assert (ASSETS / "vendor" / library["licence_file"]).read_text() in shown

    assert named == {path.name for path in (ASSETS / "vendor").iterdir()}


def test_the_index_names_the_page_and_the_page_the_files(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path, ["csv", "html", "parquet"], ["develop"])
    index = json.loads((tmp_path / "develop" / "index.json").read_text())
    data = (tmp_path / "develop" / PAGE).read_bytes()
    (entry,) = (one for one in index["reports"] if one["format"] == "html")
    links = {attributes["href"] for tag, attributes in Reader(data.decode()).elements if "download" in attributes}

    assert (entry["path"], entry["rows"], entry["bytes"]) == (PAGE, 82, len(data))
    assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert links == {one["path"] for one in index["reports"]} - {PAGE}
    assert {path.name for path in (tmp_path / "develop").iterdir()} == links | {PAGE, "index.json"}


def test_a_snapshot_without_specs_has_a_page(tmp_path):
    write_page(tmp_path / "source", make_page([make_spec(1, hash="x")], meta={}), "a.md")
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    page = render(tmp_path / "warehouse", "develop")

    assert page.rows == 0
    assert read_payload(page.html.decode())["facts"]["rejects"] == 1


@pytest.mark.slow
def test_a_real_snapshot_fits(tmp_path):
    generate(tmp_path / "source", snapshots=2, packages=1275, specs=26, seed=3)
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=2)
    export_reports(Layout(tmp_path / "warehouse"), formats=["html"], snapshots=["develop"])
    path = tmp_path / "warehouse" / "reports" / "develop" / PAGE
    ((packages, specs),) = ask(
        tmp_path / "warehouse", "select packages, specs from snapshots where snapshot = 'develop'"
    )

    assert packages >= 1200
    assert specs >= 30_000
    assert path.stat().st_size <= MOST_BYTES


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_499, "999 kB"), (999_999, "1.0 MB"), (2_340_000, "2.3 MB")],
)
def test_sizes_are_for_people_and_no_lines_end_parts_them(size, shown):
    assert show_size(size) == shown.replace(" ", "\N{NO-BREAK SPACE}")
