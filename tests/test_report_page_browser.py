"""The page in a real Chromium, headless: what its readers see, do, share, and what it must never do."""
# ruff: noqa: RUF001

import itertools
import re
import time
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Error

from pipeline.ask.diff import REBUILT
from pipeline.build import build
from pipeline.layout import Layout
from pipeline.report.export import FILES, export_reports
from pipeline.report.page import read_asset
from pipeline.spack.versions import parse_versions, version_key
from tests.makers import (
    ask,
    build_pages,
    make_hash,
    make_index,
    make_page,
    make_record,
    make_spec,
    rest_slow,
    thorough,
    write_page,
    write_v2,
)
from tests.test_versions import COMMIT, versions

PAGE = FILES["html"][1]
PAGES = Path(__file__).parent / "data" / "pages"
VIEWS = ("overview", "matrix", "find", "host", "gaps", "trends", "compare")
SNAPSHOT = "develop-2025-03-23"
HOSTILE = "<script>alert(1)</script>"
HANDLER = "<img src=x onerror=alert(1)>"


def spec(number, **changes):
    return make_spec(number, **changes)


def write_sources(folder):
    """Two weekly snapshots, with what the sample pages lack: variants with values, Macs, losses, odd names."""
    arm = {"target": "neoverse_v2", "stacks": ["e4s-neoverse-v2", "root"]}
    mac = {"target": "m1", "platform": "darwin", "os": "sequoia", "compiler": "apple-clang@16.0.0"}
    hdf5 = [
        spec(1, versions=["1.14.5"], variants=["+mpi", "~cuda", "fabrics=ofi,verbs"]),
        spec(2, versions=["1.14.5"], variants=["~mpi", "~cuda", "fabrics:=ofi"], stacks=["e4s", "hep", "root"]),
        spec(
            3, versions=["1.10"], variants=["+mpi", "+cuda", "cuda_arch=80,90"], stacks=["hep", "root"], target="zen4"
        ),
        spec(4, versions=["1.9"], variants=["+mpi"], **arm),
        spec(5, versions=["1.1"], variants=["~mpi"], stacks=["mac", "root"], **mac),
        spec(6, versions=["1.14.50"], compiler="oneapi@2024.2.1", target="skylake_avx512"),
        spec(7, versions=["1.14.5"], stacks=["root"], target="graviton2", size="12345"),
    ]
    python = [spec(number, versions=["3.12.1"], compiler="none", stacks=["hep"]) for number in range(20, 25)]
    python += [spec(30, versions=["3.11"], compiler="gcc@12.3.0", os="rhel8", stacks=["e4s", "hep", "radiuss"])]
    odd = [spec(40, versions=["<b>1</b>"], stacks=[HANDLER, "e4s"], variants=[HOSTILE, "x='\"&"], os=HANDLER)]
    both = {
        (SNAPSHOT, "hdf5"): hdf5,
        (SNAPSHOT, "hdf5-plugin"): [spec(50, stacks=["hep"])],
        (SNAPSHOT, "python"): python,
        (SNAPSHOT, HOSTILE): odd,
        (SNAPSHOT, "py-new"): [spec(60)],
        ("develop-2025-03-16", "hdf5"): [*hdf5[:3], spec(8, versions=["1.8"]), spec(9, versions=["1.14.5"])],
        ("develop-2025-03-16", "hdf5-plugin"): [spec(50, stacks=["hep"])],
        ("develop-2025-03-16", "python"): [*python, spec(31, stacks=["radiuss", "gone-stack"])],
        ("develop-2025-03-16", HOSTILE): odd,
        ("develop-2025-03-16", f"lost-{HANDLER}"): [spec(70), spec(71, stacks=["hep"])],
        ("develop-2025-03-02", "hdf5"): hdf5[:2],
    }
    for number, ((snapshot, package), specs) in enumerate(both.items()):
        write_page(folder, make_page(specs, package, snapshot), f"{number}.md")
    return folder


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "warehouse"
    build([write_sources(folder.with_name("source"))], folder, jobs=1)
    export_reports(Layout(folder), formats=["csv", "parquet", "html"])
    return folder


class Visit:
    """A page that is open, and all that it said, asked for and fell over."""

    def __init__(self, page, path):
        self.page, self.path = page, path
        self.said, self.asked = [], []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.asked.append(request.url))

    def go(self, address=""):
        """Load the page anew at an address."""
        self.page.goto("about:blank")
        self.page.goto(self.path.as_uri() + address)
        self.settle()

    def settle(self):
        """Wait until what the address asks for is shown."""
        self.wait("document.documentElement.dataset.ready !== undefined")
        self.wait("document.documentElement.dataset.shown === (location.hash || '#overview')")

    def wait(self, condition):
        """Wait for a condition; Playwright's own way would need eval, which the page's policy refuses."""
        end = time.monotonic() + 15
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, (condition, self.address(), self.said)
            time.sleep(0.02)

    def address(self):
        return self.page.evaluate("location.hash")

    def summary(self):
        return self.page.locator("section:not([hidden]) .summary").inner_text()

    def rows(self):
        """The data of the view's grid, all rows, as it holds them."""
        return self.page.evaluate(
            """() => Tabulator.findTable("section:not([hidden]) .tabulator")[0].getData("active")
                .map((row) => JSON.parse(JSON.stringify(row, (key, value) => value instanceof Set ? [...value]
                    : value instanceof Map ? [...value].map(([code, cell]) => [code, cell.specs ?? cell]) : value)))"""
        )

    def fill(self, label, value):
        control = self.page.locator("section:not([hidden]) form").get_by_label(label, exact=True)
        control.evaluate("one => { const fold = one.closest('details'); if (fold) fold.open = true; }")
        if control.evaluate("element => element.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)
            control.dispatch_event("change")
        self.settle()

    def assert_quiet(self):
        assert self.said == []
        assert {url.split("#")[0] for url in self.asked} <= {self.path.as_uri(), "about:blank"}


@pytest.fixture
def open_page(browser, warehouse):
    """Open the page in a fresh profile; in the end it has said nothing and asked for nothing."""
    visits = []

    def open_one(address="", width=1280, height=900, folder=warehouse, snapshot=SNAPSHOT, **options):
        options = {"color_scheme": "light", **options}
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        visit = Visit(context.new_page(), folder / "reports" / snapshot / PAGE)
        visits.append(visit)
        visit.go(address)
        return visit

    yield open_one
    for visit in visits:
        visit.assert_quiet()
        visit.page.context.close()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("width", rest_slow([400, 1280, 2200]))
def test_every_view_fits_its_screen_and_says_and_asks_nothing(open_page, width, scheme):
    visit = open_page(width=width, color_scheme=scheme)
    for view in VIEWS:
        visit.go(f"#{view}")
        assert visit.page.locator(f"#view-{view} h2").is_visible()
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        visit.assert_quiet()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "address", [*(f"#{view}" for view in VIEWS), "#matrix?axis=target", "#find?package=hdf5&spec="]
)
def test_axe_finds_nothing_against_wcag_aa(open_page, scheme, address):
    # axe is a script of the test's, which the page's policy would refuse.
    visit = open_page(address, color_scheme=scheme, bypass_csp=True)
    if "spec=" in address:
        visit.page.locator(".list .tabulator-row").first.click()
        visit.settle()
    # A grid scrolls as its cells are moved through, with the focus on the grid itself: axe looks for it further inside.
    options = {
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        "rules": {"scrollable-region-focusable": {"enabled": False}},
    }
    results = Axe().run(visit.page, options=options)
    found = [
        (one["id"], node["target"], node["failureSummary"])
        for one in results.response["violations"]
        for node in one["nodes"]
    ]

    assert found == []


def test_every_step_of_the_heat_is_readable_and_lighter_or_darker_than_the_last(open_page):
    measure = """() => [...document.querySelectorAll('#view-matrix .legend span')].slice(1).map((one) => {
        const style = getComputedStyle(one);
        return [style.color, style.backgroundColor].map((text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number));
    })"""

    def luminance(colour):
        linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for scheme, step in (("light", -1), ("dark", 1)):
        pairs = [
            list(map(luminance, pair))
            for pair in open_page("#matrix?ink=count", color_scheme=scheme).page.evaluate(measure)
        ]
        assert len(pairs) == 7
        for pair in pairs:
            assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5
        grounds = [ground for _, ground in pairs]
        # One way only: so that the order is seen by whoever sees no colours.
        assert grounds == sorted(grounds, reverse=step < 0)


FILTERS = [
    ({}, "true"),
    ({"Package": "hdf5"}, "package = 'hdf5'"),
    ({"Package": "df5"}, "package like '%df5%'"),
    ({"Package": "HDF5-*"}, "package like 'hdf5-%'"),
    ({"Package": "*5"}, "package like '%5'"),
    ({"Package": "none such"}, "false"),
    ({"Stack": "e4s"}, "list_contains(stacks, 'e4s')"),
    ({"Stack": "root"}, "len(stacks) = 0"),
    ({"Compiler": "gcc"}, "compiler_family = 'gcc'"),
    ({"Compiler": "gcc@12.3.0"}, "compiler = 'gcc@12.3.0'"),
    ({"Compiler": "intel-oneapi-compilers"}, "compiler_family = 'intel-oneapi-compilers'"),
    ({"Compiler": "none"}, "compiler = 'none'"),
    ({"Target": "neoverse_v2"}, "target = 'neoverse_v2'"),
    ({"Platform": "darwin"}, "platform = 'darwin'"),
    ({"OS": "rhel8"}, "os = 'rhel8'"),
    ({"Version": "1.14"}, "regexp_matches(version, '^1[.]14([.].*)?$')"),
    ({"Version": "1.14.5"}, "version = '1.14.5'"),
    ({"Version": "1.1"}, "version = '1.1'"),
    ({"Version": "=3.12"}, "false"),
    ({"Version": "1.9:1.14"}, "version in ('1.9', '1.10', '1.14.5', '1.14.50')"),
    ({"Version": "@1.10:"}, "version_key >= (select min(version_key) from specs where version = '1.10')"),
    ({"Version": ":1.9, =3.11"}, "version in ('1.1', '1.9', '3.11', '<b>1</b>')"),
    ({"Version": "1.9:1.1"}, "false"),
    ({"Variants": "+mpi"}, "list_contains(variants, '+mpi')"),
    ({"Variants": "mpi=True"}, "list_contains(variants, '+mpi')"),
    ({"Variants": "-mpi"}, "list_contains(variants, '~mpi')"),
    ({"Variants": "+mpi ~cuda"}, "list_contains(variants, '+mpi') and list_contains(variants, '~cuda')"),
    ({"Variants": "fabrics=verbs"}, "list_contains(variants, 'fabrics=ofi,verbs')"),
    ({"Variants": "fabrics=ofi"}, "list_has_any(variants, ['fabrics=ofi,verbs', 'fabrics:=ofi'])"),
    ({"Variants": "fabrics:=ofi"}, "list_contains(variants, 'fabrics:=ofi')"),
    ({"Variants": "cuda_arch=90"}, "list_contains(variants, 'cuda_arch=80,90')"),
    ({"Variants": "cuda"}, "list_has_any(variants, ['+cuda', '~cuda'])"),
    ({"Runs on": "zen4"}, "hash in (select hash from usable_on('zen4') where target_match <> 'unresolved')"),
    ({"Runs on": "m1"}, "platform = 'darwin'"),
    (
        {"Package": "hdf5", "Stack": "hep", "Variants": "~mpi"},
        "package = 'hdf5' and list_contains(stacks, 'hep') and list_contains(variants, '~mpi')",
    ),
    (
        {"Stack": "e4s", "Target": "x86_64_v3", "Compiler": "gcc@11.4.0", "Platform": "linux", "Version": "1.14.5"},
        "list_contains(stacks, 'e4s') and target = 'x86_64_v3' and compiler = 'gcc@11.4.0' "
        "and platform = 'linux' and version = '1.14.5'",
    ),
]


@pytest.mark.slow
def test_filters_agree_with_sql_and_the_address_restores_them(open_page, warehouse):
    first, second = open_page("#find"), open_page()
    for filters, where in FILTERS:
        first.page.get_by_role("button", name="Clear").locator("visible=true").click()
        for label, value in filters.items():
            first.fill(label, value)
        expected = ask(warehouse, f"select hash, package from specs where snapshot = '{SNAPSHOT}' and {where}")
        assert {row["hash"] for row in first.rows()} == {hash for hash, _ in expected}, filters
        packages = len({package for _, package in expected})
        specs = f"{len(expected)} spec{'s' * (len(expected) != 1)}"
        assert first.summary() == f"{specs} of {packages} package{'s' * (packages != 1)}"

        second.go(first.address())
        assert second.rows() == first.rows()
        for label, value in filters.items():
            control = second.page.locator("#view-find form").get_by_label(label, exact=True)
            assert control.input_value() == value


def test_a_pattern_is_matched_as_by_a_regexp_and_never_hangs(open_page):
    visit = open_page("#matrix?q=**********~")
    assert visit.summary().startswith("0 packages")
    pairs = [
        (pattern, text)
        for pattern in map("".join, (one for n in range(1, 6) for one in itertools.product("a*b", repeat=n)))
        if "*" in pattern
        for text in ("", "a", "b", "ab", "ba", "aab", "aba", "abab", "bbaab")
    ]
    matched = visit.page.evaluate("pairs => pairs.map(([pattern, text]) => matchGlob(pattern)(text))", pairs)
    assert matched == [bool(re.fullmatch(pattern.replace("*", ".*"), text)) for pattern, text in pairs]
    # Backtracking would take longer than the sun shines.
    assert not visit.page.evaluate("matchPackage('*a'.repeat(60) + '~', [])('a'.repeat(1000))")
    assert visit.page.evaluate("matchPackage('*a'.repeat(60) + '*', [])('a'.repeat(1000))")


@pytest.fixture(scope="module")
def page_versions(browser):
    """The page's own functions of versions, in a page without anything else."""
    page = browser.new_page()
    page.add_script_tag(content=read_asset("versions.js"))
    yield page
    page.close()


def contains(constraint, version):
    try:
        return parse_versions(constraint).contains(version)
    except ValueError:
        return None


shapes = st.sampled_from(["{0}", "={0}", "{0}:", ":{0}", "{0}:{1}", "{0},{1}:", "@{0}", "git.{0}", "git.r={0}", "{0}["])


@given(st.lists(st.one_of(versions(), versions().map("git.r={}".format)), min_size=1, max_size=6), st.data())
@thorough(12, 50)
def test_the_page_understands_versions_as_the_warehouse_does(page_versions, found, data):
    texts = st.sampled_from([*found, "1.2rc1", "develop", "", "maim", COMMIT])
    asked = [data.draw(shapes).format(data.draw(texts), data.draw(texts)) for _ in range(6)]
    keys, answers = page_versions.evaluate(
        """([found, asked]) => [found.map(versionKey), asked.map((one) =>
            parseVersions(one) === null ? found.map(() => null) : found.map(matchVersion(one)))]""",
        [found, asked],
    )

    assert keys == list(map(version_key, found))
    assert answers == [[contains(constraint, version) for version in found] for constraint in asked]


def test_what_an_address_says_and_the_page_does_not_understand_is_reported(open_page):
    visit = open_page("#find?variants=%2Bmpi&package=hdf5&x=1")
    said = visit.page.locator("#misread")
    assert said.inner_text().startswith(
        "Not understood, so left out: variants, x. The filters of this view are q, package,"
    )
    assert {row["package"] for row in visit.rows()} == {"hdf5"}
    visit.fill("Version", "1.2:[")
    assert visit.rows() == []
    assert said.inner_text() == "Not understood, so nothing fits: Version 1.2:[."
    visit.fill("Version", "1.2:")
    assert not said.is_visible()
    visit.go("#find?host=foo&sort=Version:asc&spec=x")
    assert said.inner_text() == "Not understood, so nothing fits: Runs on foo."
    visit.go("#findings")
    assert said.inner_text() == "There is no view findings."
    visit.go("#host?host=foo&show=missing")
    assert visit.summary().startswith("Unknown machine: foo")
    assert visit.rows() == []


def test_beside_each_choice_stands_how_many_specs_it_leaves(open_page, warehouse):
    visit = open_page("#find?compiler=gcc&stack=e4s")
    options = visit.page.locator("#view-find select[name=stack] option").all_inner_texts()
    counts = {match[1]: int(match[2]) for match in map(re.compile(r"(.*) \((\d+)\)").fullmatch, options) if match}
    expected = ask(
        warehouse,
        f"select stack, count(*) from (select unnest(stacks) as stack from specs "
        f"where snapshot = '{SNAPSHOT}' and compiler_family = 'gcc') group by stack",
    )

    assert {stack: count for stack, count in counts.items() if count} == dict(expected)


@pytest.mark.parametrize("axis", ["stack", "compiler", "target"])
def test_a_matrix_is_its_view(open_page, warehouse, axis):
    visit = open_page(f"#matrix?axis={axis}")
    titles = visit.page.evaluate(
        """() => Object.fromEntries(Tabulator.findTable("#view-matrix .tabulator")[0].getColumnDefinitions()
            .filter(({ field }) => /^c[0-9]/.test(field)).map(({ field, title }) => [field, title]))"""
    )
    shown = {(row["package"], titles[f"c{code}"], specs) for row in visit.rows() for code, specs in row["cells"]}
    long = ask(warehouse, f"select package, {axis}, num_specs from coverage_by_{axis} where snapshot = '{SNAPSHOT}'")
    summary = ask(
        warehouse,
        f"select {axis}, coverage from summary_by_{axis} where snapshot = '{SNAPSHOT}' "
        f"order by packages desc, specs desc, {axis}",
    )

    assert shown == set(long)
    order = [(not row["changes"], len(row["cells"]) == len(summary)) for row in visit.rows()]
    assert order == sorted(order), "changes first, then holes"
    assert set(titles.values()) == {value for value, _ in summary}
    heads = [head.split(" ")[0] for head in visit.page.locator("#view-matrix .turned").all_inner_texts()]
    shares = {value: str(int(100 * share + 0.5)) for value, share in summary}
    assert heads == [shares[value] for value in titles.values()]
    if axis == "stack":
        families = [value.split("-")[0] for value in titles.values()]
        assert len(list(itertools.groupby(families))) == len(set(families))
    else:
        assert heads == sorted(heads, key=int, reverse=True), "by the number that is shown"


def test_a_matrix_shows_the_best_covered_of_very_many_values_and_says_so(open_page, warehouse, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.report.pagedata.MATRIX_COLUMNS", 2)
    export_reports(Layout(warehouse), tmp_path / "reports", ["html"], [SNAPSHOT])
    visit = open_page("#matrix", folder=tmp_path)
    (stacks,) = ask(warehouse, f"select count(*) from summary_by_stack where snapshot = '{SNAPSHOT}'")[0]

    assert visit.page.locator("#view-matrix .turned").count() == 2
    assert visit.summary() == f"6 packages × 2 of {stacks} stacks, the best covered: changes, then holes, first"
    assert max(len(row["cells"]) for row in visit.rows()) > 2, "what has no column counts all the same"


def test_a_cell_says_count_and_versions_in_spacks_order(open_page):
    visit = open_page("#matrix")
    row = visit.page.locator("#view-matrix .tabulator-row", has=visit.page.get_by_text("hdf5", exact=True))
    field = visit.page.evaluate(
        "Tabulator.findTable('#view-matrix .tabulator')[0].getColumnDefinitions()"
        ".find((one) => one.title === 'e4s').field"
    )
    cell = row.locator(f"[tabulator-field={field}]")
    cell.hover()
    line = visit.page.locator("#view-matrix .detail")

    assert line.inner_text().startswith("hdf5 × e4s: 3 specs; versions 1.14.5, 1.14.50")
    at, said = cell.bounding_box(), line.bounding_box()
    assert min(abs(said["y"] - at["y"] - at["height"]), abs(at["y"] - said["y"] - said["height"])) < 10, "next to it"
    assert said["x"] <= at["x"] + 1
    cell.click()
    visit.settle()
    assert visit.address() == "#find?package=hdf5&stack=e4s"
    assert visit.summary() == "3 specs of 1 package"


def test_names_stay_in_sight_while_the_rest_scrolls(open_page):
    visit = open_page("#matrix", width=240)
    name = visit.page.locator("#view-matrix .tabulator-row .tabulator-frozen").first
    before = name.bounding_box()
    scrolled = visit.page.evaluate(
        """() => { const holder = document.querySelector("#view-matrix .tabulator-tableholder");
            holder.scrollLeft = 150; return holder.scrollLeft; }"""
    )
    visit.page.wait_for_timeout(200)

    assert scrolled > 0
    assert name.bounding_box()["x"] == pytest.approx(before["x"], abs=2)


@pytest.mark.parametrize(
    ("values", "arguments"),
    [
        ("host=zen4", "'zen4'"),
        ("host=zen3", "'zen3'"),
        ("host=zen4&compiler=gcc", "'zen4', family := 'gcc'"),
        ("host=icelake&os=rhel8", "'icelake', host_os := 'rhel8'"),
        ("host=neoverse_v2", "'neoverse_v2'"),
        ("host=m2", "'m2'"),
        ("host=m1&platform=linux", "'m1', host_platform := 'linux'"),
    ],
)
def test_a_host_can_use_what_the_warehouse_says(open_page, warehouse, values, arguments):
    visit = open_page(f"#host?{values}")
    expected = ask(
        warehouse,
        f"""
        select package, count(*), arg_max(version, version_key), list_sort(list_distinct(list(compiler)))
        from usable_on({arguments}) where snapshot = '{SNAPSHOT}' and target_match <> 'unresolved'
        group by package order by package
        """,
    )
    rows = sorted(visit.rows(), key=lambda row: row["package"])

    assert [(row["package"], row["specs"], row["newest"], row["compilers"]) for row in rows] == expected
    visit.fill("Show", "missing")
    assert {row["package"] for row in visit.rows()} == {
        package for (package,) in ask(warehouse, f"select distinct package from specs where snapshot = '{SNAPSHOT}'")
    } - {row[0] for row in expected}


LIBCS = {"glibc": ("2.31", "2.35", "2.39", "2.9", "2.35.1", "2.35-odd"), "musl": ("1.2.4",)}


@pytest.fixture(scope="module")
def with_libcs(tmp_path_factory):
    """Specs that need each of several libcs, some that need none, and pages, which do not say."""
    folder = tmp_path_factory.mktemp("libcs")
    records = []
    for at, (name, version) in enumerate((name, one) for name, many in LIBCS.items() for one in many):
        libc = spec(900 + at, versions=[version], compiler="none")
        external = {"path": "/opt" if at % 3 == 1 else "/usr", "module": None, "extra_attributes": {}}
        records.append(make_record(libc, name, in_buildcache=False, external=external))
        edge = {"name": name, "hash": libc["hash"], "parameters": {"deptypes": ["link"], "virtuals": ["libc"]}}
        records += [
            make_record(spec(20 * at + number), f"p{(at + number) % 5}", dependencies=[edge])
            for number in range(at + 1)
        ]
    records += [make_record(spec(800 + number, compiler="none"), f"p{number}") for number in range(3)]
    lacks = {"name": "zlib-ng", "hash": make_hash(850), "parameters": {"deptypes": ["link"], "virtuals": []}}
    records += [
        make_record(spec(803, compiler="none"), "p3", dependencies=[lacks]),
        make_record(spec(850), "zlib-ng", in_buildcache=False),
    ]
    for number, os in enumerate(("ventura", "sonoma", "sonoma", "sequoia", "elcapitan"), 860):
        mac = spec(number, platform="darwin", os=os, target="m1", compiler="none")
        records.append(make_record(mac, f"p{number % 3}"))
    write_v2(folder / "source" / SNAPSHOT / "e4s", make_index(records))
    write_page(folder / "source", make_page([spec(700), spec(701)], "p1", SNAPSHOT))
    build([folder / "source"], folder / "warehouse", jobs=1)
    export_reports(Layout(folder / "warehouse"), formats=["html"])
    return folder / "warehouse"


@pytest.mark.parametrize(
    ("libc", "path"),
    [
        *((libc, "") for libc in ("", "2.35", "glibc@2.35", "glibc@=2.35", "musl@1.2.4", "musl@1.2", "2.35.0", "2.10")),
        *(("2", ""), ("2.35-odd", ""), ("x", "")),
        *(("", "/usr"), ("2.35", "/usr"), ("2.39", "/opt"), ("musl@1.2.4", "/"), ("2.35-odd", "/usr")),
    ],
)
def test_a_libc_is_judged_as_the_warehouse_does(open_page, with_libcs, libc, path):
    visit = open_page("#host?host=zen4", folder=with_libcs)
    visit.fill("C library", libc)
    visit.fill("Its path", path)
    given = f", host_libc := '{libc}'" if libc else ""
    given += f", host_libc_path := '{path}'" if path else ""
    answers = ask(
        with_libcs,
        f"select package, libc, count(*) from usable_on('zen4'{given}) where snapshot = '{SNAPSHOT}' group by all",
    )
    order = ["ok", "none needed", "unknown", "too old", "other libc"]
    expected = {}
    for package, answer, count in sorted(answers, key=lambda row: order.index(row[1])):
        expected.setdefault(package, []).append(f"{answer} {count}")
    usable = {package for package, answer, _ in answers if answer in order[:3]}

    rows = visit.rows()
    assert {row["package"]: row["libcs"] for row in rows} == {package: expected[package] for package in usable}
    fitting = sum(count for _, answer, count in answers if answer in order[:3])
    assert sum(row["specs"] for row in rows) == fitting
    note = visit.page.locator("section:not([hidden]) .quiet").first.inner_text()
    for answer in order:
        count = sum(count for _, one, count in answers if one == answer)
        assert (f"{answer} {count}" in note) == bool(count)
    visit.fill("Show", "missing")
    missing = {row["package"]: row["libcs"] for row in visit.rows()}
    assert missing == {package: one for package, one in expected.items() if package not in usable}


def test_a_mac_takes_older_releases_as_the_warehouse_does(open_page, with_libcs):
    visit = open_page("#host?host=m2", folder=with_libcs)
    for os, specs in (("tahoe", 4), ("sequoia", 4), ("sonoma", 3), ("ventura", 1), ("catalina", 0), ("elcapitan", 1)):
        visit.fill("OS", os)
        query = (
            f"select package, count(*) from usable_on('m2', host_os := '{os}') where snapshot = '{SNAPSHOT}' group by 1"
        )
        expected = dict(ask(with_libcs, query))
        assert {row["package"]: row["specs"] for row in visit.rows()} == expected
        assert sum(expected.values()) == specs
    # What a row leads to has all that it counts, of older releases too.
    visit.go("#host?host=m2&os=sequoia&q=p2")
    visit.page.locator("section:not([hidden]) .tabulator-row").first.click()
    visit.settle()
    assert [row["os"] for row in visit.rows()] == ["sequoia", "ventura"]


@pytest.mark.parametrize("libc", ["musl@", "@2.35", "glibc@2@35"])
def test_what_is_no_libc_fits_nothing(open_page, with_libcs, libc):
    visit = open_page(f"#host?host=zen4&libc={libc}", folder=with_libcs)
    assert visit.rows() == []
    assert "Not understood, so nothing fits: C library" in visit.page.locator("body").inner_text()


def test_a_spec_says_its_libc_and_what_is_missing_for_it(open_page, with_libcs):
    for number, libc, installs in (
        (0, "glibc@2.31", "yes"),
        (800, "needs none", "yes"),
        (803, "not known", f"no: missing zlib-ng/{make_hash(850)[:7]}"),
        (700, "not known", "not known"),
    ):
        visit = open_page(f"#find?spec={make_hash(number)}", folder=with_libcs)
        facts = visit.page.locator("section:not([hidden]) dl").inner_text().splitlines()
        assert facts[facts.index("C library") + 1] == libc
        assert facts[facts.index("Installs without building") + 1] == installs


def test_specs_are_found_by_whether_they_install(open_page, with_libcs):
    visit = open_page("#find?installs=no", folder=with_libcs)
    assert [row["hash"] for row in visit.rows()] == [make_hash(803)]
    visit.fill("Installs", "yes")
    assert {row["hash"] for row in visit.rows()} == {
        hash for (hash,) in ask(with_libcs, "select hash from specs where installable")
    }
    visit.go("#overview")
    table = visit.page.get_by_role("region", name="Missing, what the most specs lack first")
    assert table.locator("tbody tr").all_inner_texts() == [f"zlib-ng\t{make_hash(850)}\thole\t1\te4s"]


def test_gaps_are_those_of_the_view_the_widest_held_first(open_page, warehouse):
    visit = open_page("#gaps")
    expected = ask(
        warehouse,
        f"select package, stack, platform, held_by, stacks from gaps where snapshot = '{SNAPSHOT}' "
        "order by held_by desc, package, stack, platform",
    )

    assert [
        tuple(row[name] for name in ("package", "stack", "platform", "held_by", "stacks")) for row in visit.rows()
    ] == expected
    visit.fill("Lacking in", "radiuss")
    assert {row["package"] for row in visit.rows()} == {row[0] for row in expected if row[1] == "radiuss"}
    visit.fill("A row per", "package")
    assert {(row["package"], row["missing"]) for row in visit.rows()} == {
        (row[0], 1) for row in expected if row[1] == "radiuss"
    }


@pytest.mark.parametrize("by", ["", "?by=package"])
def test_what_a_gap_is_and_why_it_ranks_so_fits_a_narrow_screen(open_page, by):
    visit = open_page(f"#gaps{by}", width=400)
    for title in ("Package", "Lacking in", "Held by"):
        head = visit.page.locator("#view-gaps .tabulator-col", has_text=title).first
        box = head.bounding_box()
        assert box["x"] + box["width"] <= 400
        assert head.locator("span").evaluate(
            "one => one.parentElement.scrollWidth <= one.parentElement.clientWidth && one.innerText"
        )


def test_losses_are_those_of_the_macro_lost_packages_first(open_page, warehouse):
    visit = open_page("#overview?cause=*")
    names = ("package", "stack", "version", "compiler", "target", "cause", "replaced_by", "specs")
    expected = ask(warehouse, f"select {', '.join(names)} from lost('develop-2025-03-16', '{SNAPSHOT}')")
    rows = [tuple(row[name] for name in names) for row in visit.rows()]
    headings = visit.page.locator("#view-overview :is(h2, h3)").all_inner_texts()

    assert sorted(rows, key=repr) == sorted(expected, key=repr)
    assert rows[0][5] in ("stack removed", "package gone from the stack")
    assert headings[0].endswith(" develop-2025-03-16")
    assert headings[1].startswith("Packages that stacks lost: ")
    # What the tables call unknown is in the site's words.
    causes = visit.page.locator("#view-overview select option").all_inner_texts()
    assert ("built again" in causes, "unknown" in causes) == (True, False)
    visit.go()
    assert {row["cause"] for row in visit.rows()} == {row[5] for row in expected} - set(REBUILT)


def in_sight(visit, selector):
    """Whether an element is within the window."""
    box = visit.page.locator(selector).bounding_box()
    return box is not None and 0 <= box["y"] < visit.page.viewport_size["height"]


def test_a_click_on_a_lost_package_leads_to_its_losses_each_time(open_page):
    visit = open_page(height=500)
    link = visit.page.locator(".losses a").first
    package = link.inner_text()
    for _ in range(2):
        visit.page.evaluate("scrollTo(0, 0)")
        assert not in_sight(visit, "#losses")
        link.click()
        visit.settle()
        visit.wait("document.activeElement.id === 'losses'")
        assert visit.page.locator("#losses").inner_text() == f"Losses of {package}"
        assert in_sight(visit, "#losses")
        assert {row["package"] for row in visit.rows()} == {package}
    visit.page.evaluate("scrollTo(0, 0)")
    visit.fill("Package", "")
    assert visit.page.evaluate("scrollY") < 5000, "who types stays where he is"


def test_packages_are_lost_in_the_order_of_stacks_and_bars_are_those_of_sql(open_page, warehouse):
    visit = open_page()
    listed = visit.page.locator(".losses a").all_inner_texts()
    lost = ask(
        warehouse,
        f"select package, count(distinct stack) from changes where to_snapshot = '{SNAPSHOT}' and head is not null "
        "group by package order by 2 desc, 1",
    )
    packages = ask(
        warehouse,
        f"select stack, count(distinct package) from (select package, unnest(stacks) as stack from specs "
        f"where snapshot = '{SNAPSHOT}') group by stack",
    )
    rows = [
        row.locator("th, td").all_inner_texts()
        for row in visit.page.locator(".body table").first.locator("tbody tr").all()
    ]

    assert listed == [package for package, _ in lost]
    assert {row[0]: int(row[2]) for row in rows if row[0].split(" ")[0] != "gone-stack"} == dict(packages)
    assert any(row[0].startswith("gone-stack removed") for row in rows)


@pytest.mark.parametrize(
    ("asked", "summary", "said"),
    [
        ("hdf5", "7 specs of 1 package", "1 more package contains hdf5"),
        ("hdf", "8 specs of 2 packages", "No package is called hdf: shown are the 2 packages whose names contain it."),
        ("hdf*@1.14.5", "4 specs of 2 packages", ""),
        ("hdf5@1.14.5+mpi", "2 specs of 1 package", "1 more package contains hdf5"),
        ("pyton", "0 specs of 0 packages", "No package is called pyton. Near: python"),
        (
            "hdf5@2:",
            "0 specs of 0 packages",
            "None of the 7 specs is hdf5@2:; nearest: 3 specs: version: asked @2:, has 1.14.5",
        ),
        ("hdf5@1.10 ~cuda", "0 specs of 0 packages", "1 spec: variants: asked ~cuda, has +cuda"),
        ("hdf5@[", "0 specs of 0 packages", "Not understood, so nothing fits: “@” at letter 5 is not part of a spec."),
        ("hdf5 ^zlib", "0 specs of 0 packages", "Not understood, so nothing fits: this page holds no dependencies"),
    ],
)
def test_find_takes_specs_and_says_what_it_fell_back_to_or_why_nothing_fits(open_page, asked, summary, said):
    visit = open_page()
    visit.go(f"#find?q={quote(asked)}")

    assert visit.summary() == summary
    assert said in " ".join(visit.page.locator(".hints").inner_text().split())
    assert len(visit.rows()) == int(summary.split()[0])


def test_a_near_miss_and_a_wider_name_are_a_click_away(open_page):
    visit = open_page("#find?q=hdf5%402:")
    visit.page.locator(".hints a").last.click()
    visit.settle()
    assert "hdf5@" in visit.page.locator(".spec h3").inner_text()
    visit.page.locator(".hints a").first.click()
    visit.settle()
    assert visit.page.get_by_label("Spec", exact=True).input_value() == "*hdf5*@2:"
    visit.go("#find?q=hdf5&stack=radiuss")
    assert "No spec of it passes the other filters; there are some in e4s" in visit.page.locator(".hints").inner_text()


def test_a_host_is_shown_why_nothing_fits(open_page):
    visit = open_page("#host?host=m1&q=python&show=missing")
    assert visit.summary().endswith("Nothing fits: its specs are for linux (6)")
    assert [row["why"] for row in visit.rows()] == ["for linux (6)"]
    visit.go("#host?host=zen4&os=rhel8&q=hdf5&show=missing")
    why = dict(row.rsplit(" (", 1) for row in visit.rows()[0]["why"].removesuffix(")").split("), "))
    assert why["for ubuntu22.04"].isdigit()


def test_the_matrix_is_all_that_scrolls_and_its_header_stays(open_page):
    visit = open_page("#matrix", height=600)
    assert visit.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    visit.page.evaluate("document.querySelector('#view-matrix .tabulator-tableholder').scrollTop = 1e6")
    visit.page.keyboard.press("End")
    assert in_sight(visit, "#view-matrix .tabulator-header")
    names = "[...document.querySelectorAll('#view-matrix .turned')]"
    whole = f"{names}.every((one) => one.scrollHeight <= one.clientHeight + 1)"
    assert visit.page.evaluate(whole), "names are whole"


def test_a_cell_shows_presence_change_and_lag(open_page, warehouse):
    visit = open_page("#matrix")
    lags = ask(warehouse, f"select package, stack, versions_behind from version_lag where snapshot = '{SNAPSHOT}'")
    lag = {(package, stack): behind for package, stack, behind in lags}
    moved = ask(
        warehouse,
        "select distinct package, stack, change from changes "
        f"where to_snapshot = '{SNAPSHOT}' and (head is not null or change = 'gained')",
    )
    changes = {(package, stack): change for package, stack, change in moved}
    replaced = ask(
        warehouse, f"select package, stack from changes where to_snapshot = '{SNAPSHOT}' and cause = 'version replaced'"
    )
    cells = visit.page.evaluate(
        """() => Tabulator.findTable("#view-matrix .tabulator")[0].getRows("active").flatMap((row) =>
            row.getCells().filter((cell) => /^c[0-9]/.test(cell.getField())).map((cell) =>
                [row.getData().package, cell.getColumn().getDefinition().title, cell.getElement().textContent]))"""
    )
    sign = {"lost": "−", "gained": "+"}
    for package, stack, text in cells:
        place = (package, stack)
        if place in changes:
            assert text == sign[changes[place]], place
        elif place in replaced:
            assert text == "▲", place
        else:
            assert text == str(lag.get(place) or ""), place
    assert {text for *_, text in cells} >= {"−", "+", ""}


def test_a_phone_shows_many_columns_of_the_matrix_and_a_small_find(open_page):
    visit = open_page("#matrix", width=390)
    columns = visit.page.locator("#view-matrix .tabulator-col[tabulator-field^=c]")
    widths = columns.evaluate_all("all => all.map((one) => one.offsetWidth)")
    assert max(widths) <= 26
    name = visit.page.locator("#view-matrix .tabulator-col.tabulator-frozen").first.bounding_box()
    assert (390 - name["x"] - name["width"]) / 26 >= 8
    visit.go("#find")
    assert visit.page.locator("#view-find form").bounding_box()["height"] < 300


def test_trends_are_those_of_the_view_and_a_missing_week_is_no_zero(open_page, warehouse):
    visit = open_page("#trends?measure=specs&q=e4s")
    table = visit.page.locator("#view-trends .scroll table")
    heads = table.locator("thead th").all_inner_texts()
    lines = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
    expected = {
        (snapshot or f"none on {date}", value): "–" if specs is None else str(specs)
        for snapshot, date, value, specs in ask(
            warehouse,
            "select snapshot, date, value, specs from coverage_trend "
            "where series = 'weekly' and axis = 'stack' and contains(value, 'e4s')",
        )
    }

    assert heads == [
        "stack",
        "line",
        "change",
        "develop-2025-03-02",
        "none on 2025-03-09",
        "develop-2025-03-16",
        SNAPSHOT,
    ]
    assert [line[0] for line in lines[:2]] == ["all packages", "all specs"]
    changes = []
    for line in lines[2:]:
        assert line[3:] == [expected.get((head, line[0]), "–") for head in heads[3:]]
        known = [int(cell) for cell in line[3:] if cell != "–"]
        changes.append(abs(known[-1] - known[0]))
        assert line[2].replace("−", "-") == (f"{known[-1] - known[0]:+}" if len(known) > 1 and changes[-1] else line[2])
    assert changes == sorted(changes, reverse=True), "what moved most comes first"
    assert {line[0] for line in lines[2:]} == {value for _, value in expected}
    assert visit.page.locator("#view-trends canvas").count() == 3


LONG = "an-experiment-with-a-rather-long-name"


@pytest.fixture(scope="module")
def odd_series(tmp_path_factory):
    """Snapshots of every series but the weekly one, with few packages and long names."""
    pages = {
        (snapshot, f"p{number}"): [make_spec(number)]
        for count, snapshot in enumerate(["v1.0", "v1.1", "develop", LONG, "another-experiment"], 1)
        for number in range(count)
    }
    warehouse = build_pages(tmp_path_factory.mktemp("series"), pages)
    export_reports(Layout(warehouse), formats=["html"])
    return warehouse


RECORD_TEXTS = """
window.drawn = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
    if (this.canvas.isConnected) {
        const left = x - this.measureText(text).width / (this.textAlign === "center" ? 2 : 1);
        window.drawn.push([text, this.textAlign, left, 2 * x - left, this.canvas.width]);
    }
    return fillText.call(this, text, x, y, ...rest);
};
"""


@pytest.mark.parametrize(("snapshot", "series"), [("develop", "develop"), ("v1.1", "release"), (LONG, "other")])
def test_charts_start_at_zero_where_that_is_asked_in_the_snapshots_own_series_with_whole_ticks_and_names(
    open_page, odd_series, snapshot, series
):
    visit = open_page(folder=odd_series, snapshot=snapshot)
    visit.page.context.add_init_script(RECORD_TEXTS)
    visit.go("#trends?scale=zero")
    drawn = visit.page.evaluate("window.drawn")
    counts = [text for text, align, *_ in drawn if align == "right"]
    names = [(left, right, width) for _, align, left, right, width in drawn if align == "center"]

    assert visit.page.locator("#view-trends select[name=series]").input_value() == series
    assert counts.count("0") == 3
    assert all(text.isdigit() for text in counts)
    assert names
    assert all(left >= 0 and right <= width for left, right, width in names)


def test_a_spec_is_installed_by_its_hash_and_a_hostile_name_stays_out_of_the_line(open_page, warehouse):
    visit = open_page("#find?package=hdf5&version=1.10", permissions=["clipboard-read", "clipboard-write"])
    ((hash,),) = ask(warehouse, f"select hash from specs where snapshot = '{SNAPSHOT}' and version = '1.10'")
    visit.page.locator(".list .tabulator-row .copy").click()
    visit.wait("document.getElementById('status').textContent.startsWith('Copied')")

    assert visit.page.evaluate("navigator.clipboard.readText()") == f"spack install --cache-only hdf5/{hash}"
    assert "spec=" not in visit.address()
    visit.page.locator(".list .tabulator-row").click()
    visit.settle()
    assert f"spec={hash}" in visit.address()
    assert f"spack install --cache-only hdf5/{hash}" in visit.page.locator(".spec").inner_text()
    assert (
        f"spack mirror add {SNAPSHOT} https://binaries.spack.io/{SNAPSHOT}"
        in visit.page.locator(".spec").text_content()
    )

    visit.go("#find?version=%3D<b>1</b>")
    ((hash,),) = ask(warehouse, f"select hash from specs where snapshot = '{SNAPSHOT}' and package = '{HOSTILE}'")
    button = visit.page.locator(".list .tabulator-row .copy")
    assert button.get_attribute("aria-label") == f"Copy: spack install --cache-only /{hash}"


def test_hostile_names_are_shown_as_text_everywhere(open_page):
    visit = open_page()
    seen = ""
    for view in ("overview?cause=*", "matrix", "matrix?axis=target", "find", "host", "gaps", "trends"):
        visit.go(f"#{view}")
        seen += visit.page.locator("main").inner_text()
        assert visit.page.locator("main img, main script, main b:has(script)").count() == 0
    assert HOSTILE in seen
    assert HANDLER in seen
    assert "<b>1</b>" in seen
    visit.go("#matrix")
    visit.page.locator("#view-matrix .tabulator-row", has_text=HOSTILE).locator(".tabulator-cell").nth(3).hover()
    assert HOSTILE in visit.page.locator("#view-matrix .detail").inner_text()


def test_an_address_may_hold_anything(open_page):
    visit = open_page(
        "#find?package=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&stack=%3Cscript%3E&spec=%3Cb%3E&sort=x:asc"
    )
    assert visit.summary() == "0 specs of 0 packages"
    assert "no spec <b>" in visit.page.locator(".spec").inner_text()
    for address in (
        "#__proto__",
        "#constructor?x=1",
        "#matrix?axis=<b>&q=(((",
        "#%",
        "#find?version=[",
        "#host?host=x",
        "#trends?series=x",
    ):
        visit.go(address)
        assert visit.page.locator("main > section:not([hidden])").count() == 1


def test_the_policy_lets_nothing_in_or_out(open_page, warehouse):
    visit = open_page()
    refused = visit.page.evaluate(
        """async () => {
            const refusals = [];
            document.addEventListener("securitypolicyviolation", (event) => refusals.push(event.effectiveDirective));
            await fetch("http://127.0.0.1:9/").catch(() => {});
            const image = new Image(); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
            const link = document.createElement("link");
            link.rel = "stylesheet"; link.href = "http://127.0.0.1:9/x.css"; document.head.append(link);
            const script = document.createElement("script");
            try { script.text = "window.ran = true"; document.body.append(script); }
            catch { refusals.push("script text"); }
            const box = document.createElement("div"); document.body.append(box);
            box.innerHTML = "<img src=x onerror='window.ran = true'>";
            await new Promise((resolve) => setTimeout(resolve, 300));
            return { refusals, ran: window.ran ?? false, text: box.textContent, children: box.children.length };
        }"""
    )

    assert {"connect-src", "img-src", "style-src-elem", "script text"} <= set(refused["refusals"])
    assert refused["ran"] is False
    assert (refused["text"], refused["children"]) == ("<img src=x onerror='window.ran = true'>", 0)
    # What it said of the refusals is what this test was after.
    visit.said.clear()
    visit.asked[:] = [url for url in visit.asked if not url.startswith("http://127.0.0.1:9/")]


def test_it_is_moved_through_by_keyboard(open_page):
    visit = open_page("#matrix")
    keyboard = visit.page.keyboard
    visit.page.locator("#view-matrix form button").focus()
    keyboard.press("Tab")
    at = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
    assert visit.page.evaluate(f"{at}.textContent") == visit.rows()[0]["package"]
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        keyboard.press(key)
        visit.page.wait_for_timeout(50)
    second = visit.rows()[1]["package"]
    assert visit.page.locator("#view-matrix .detail").inner_text().startswith(f"{second} × ")
    assert visit.page.locator("#view-matrix .at").count() == 1
    keyboard.press("ArrowUp")
    visit.page.wait_for_timeout(50)
    keyboard.press("ArrowUp")
    visit.page.wait_for_timeout(50)
    assert visit.page.locator("#view-matrix .detail").inner_text().endswith("Enter sorts")
    keyboard.press("Enter")
    visit.wait("location.hash.includes('sort=')")
    sorted_by = unquote(visit.address())
    assert sorted_by.endswith(":desc")
    visit.settle()
    counts = [dict(row["cells"]) for row in visit.rows()]
    visit.go(visit.address())
    assert [dict(row["cells"]) for row in visit.rows()] == counts
    visit.page.locator("#view-matrix .tabulator").focus()
    keyboard.press("Control+End")
    visit.page.wait_for_timeout(100)
    last = visit.rows()[-1]["package"]
    keyboard.press("Home")
    visit.page.wait_for_timeout(100)
    keyboard.press("Enter")
    visit.wait("location.hash.startsWith('#find')")
    visit.settle()
    assert {row["package"] for row in visit.rows()} == {last}
    assert visit.page.evaluate("document.activeElement.id") == "title-find"


def test_all_that_can_be_clicked_can_be_reached_by_tab(open_page):
    visit = open_page("#find?package=hdf5")
    visit.page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        reached.append(
            visit.page.evaluate(
                "((one) => (one.name || one.className || one.textContent).trim())(document.activeElement)"
            )
        )
    assert reached[0] == "skip"
    assert {"package", "version", "variant", "stack", "compiler", "target", "platform", "os", "host"} <= set(reached)
    assert any(name.startswith("list tabulator") for name in reached)
    assert {"Overview", "Matrix", "My machine", "Gaps", "Trends"} <= set(reached)
    visit.page.evaluate("document.querySelector('.skip').focus()")
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.id") == "title-find"


def test_back_leads_back_and_a_view_is_found_as_it_was_left(open_page):
    visit = open_page("#find?package=hdf5&stack=hep")
    held = visit.rows()
    visit.page.get_by_role("link", name="Gaps").click()
    visit.settle()
    assert visit.address() == "#gaps"
    visit.page.get_by_role("link", name="Find").click()
    visit.settle()
    assert visit.address() == "#find?package=hdf5&stack=hep"
    assert visit.rows() == held
    visit.page.go_back()
    visit.settle()
    assert visit.address() == "#gaps"
    assert visit.page.locator("nav a[aria-current]").inner_text() == "Gaps"


def test_an_address_is_not_said_to_be_shown_before_it_is(open_page):
    visit = open_page("#find")
    # The third address is asked for while the second, a slow one, is drawn.
    visit.page.evaluate(
        """() => {
            history.replaceState(null, "", "#find?package=hdf5");
            dispatchEvent(new Event("popstate"));
            dispatchEvent(new Event("hashchange"));
            history.replaceState(null, "", "#find?compiler=gcc");
        }"""
    )
    drawn = "Tabulator.findTable('#view-find .tabulator')[0].getData().every((row) => row.package === 'hdf5')"
    visit.wait(drawn)
    assert visit.page.evaluate("document.documentElement.dataset.shown") == "#find"
    visit.page.evaluate("dispatchEvent(new Event('popstate'))")
    visit.settle()
    assert not visit.page.evaluate(drawn)


def test_what_was_typed_last_does_not_lead_back_to_a_view_that_was_left(open_page):
    visit = open_page("#find")
    visit.page.evaluate(
        """() => {
            const control = document.querySelector("#view-find input[name=package]");
            control.value = "hdf5";
            control.dispatchEvent(new Event("input"));
            location.hash = "#gaps";
            // A later timer: when it is over, that of the form would have been.
            return new Promise((resolve) => setTimeout(resolve, 200));
        }"""
    )
    visit.settle()
    assert visit.address() == "#gaps"


def test_the_theme_is_the_systems_until_another_is_chosen_and_that_is_kept(open_page):
    visit = open_page("#trends", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = visit.page.evaluate(ground)
    visit.page.get_by_label("Theme").select_option("light")
    light = visit.page.evaluate(ground)
    assert light != dark
    visit.go("#find")
    assert visit.page.evaluate(ground) == light
    visit.page.get_by_label("Theme").select_option("")
    assert visit.page.evaluate(ground) == dark


def test_the_files_beside_it_are_there(open_page):
    visit = open_page()
    links = visit.page.locator("footer a[download]").evaluate_all(
        "links => links.map((link) => link.getAttribute('href'))"
    )

    assert len(links) > 20
    assert all((visit.path.parent / unquote(link)).is_file() for link in links)


@pytest.mark.parametrize("snapshot", rest_slow(["develop", "develop-2025-03-16", "develop-2025-03-30"]))
def test_the_pages_of_the_sample_load(browser, open_page, tmp_path_factory, snapshot):
    folder = tmp_path_factory.mktemp("sample") / "warehouse"
    build([PAGES], folder, jobs=1)
    export_reports(Layout(folder), formats=["html"])
    visit = open_page("#find", folder=folder, snapshot=snapshot)
    ((specs,),) = ask(folder, f"select specs from snapshots where snapshot = '{snapshot}'")

    assert visit.summary().startswith(f"{specs} specs of ")
    for view in VIEWS:
        visit.go(f"#{view}")


def test_a_snapshot_without_specs_loads(open_page, tmp_path):
    write_page(tmp_path / "source", make_page([make_spec(1, hash="x")], meta={}), "a.md")
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    export_reports(Layout(tmp_path / "warehouse"), formats=["html"])
    visit = open_page(folder=tmp_path / "warehouse", snapshot="develop")
    for view in VIEWS:
        visit.go(f"#{view}")
    assert "Rejects: 1 row" in (visit.go() or visit.page.locator("main").inner_text())


def test_it_asks_for_nothing_of_a_static_host_either(browser, warehouse):
    """Over HTTP too the page is the only request: no icon, no map, no font."""
    context = browser.new_context()
    asked = []

    def answer(route):
        asked.append(route.request.url)
        body = (warehouse / "reports" / SNAPSHOT / PAGE).read_text()
        route.fulfill(body=body, content_type="text/html; charset=utf-8")

    context.route("**/*", answer)
    page = context.new_page()
    page.goto("http://reports.test/report.html")
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(300)
    with pytest.raises(Error):
        page.evaluate("fetch('http://elsewhere.test/x').then((answer) => answer.text())")
    context.close()

    assert asked == ["http://reports.test/report.html"]
