"""The landing page of a folder of reports: every file is linked and there, nothing escapes its text."""

import json
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe

from pipeline.layout import Layout
from pipeline.report.export import REPORTS, export_reports, prune_reports
from pipeline.report.landing import SITE, render_site
from pipeline.words import REPORT_FORMATS
from tests.makers import build_pages, make_spec

PAGES = Path(__file__).parent / "data" / "pages"
HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The links of a page, its tags, and its rows of snapshots as lists of texts."""

    def __init__(self, path):
        super().__init__()
        self.links, self.tags, self.rows = [], [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        held = dict(attributes)
        self.tags.append(tag)
        if tag == "a":
            self.links.append(held["href"])
        if tag == "tbody" and held.get("class") == "snapshot":
            self.rows.append([])
        if tag in ("th", "td") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def heads(self):
        """(snapshot, date, packages, specs) of each row."""
        return [tuple(cell.strip() for cell in row[:4]) for row in self.rows]


def resolve(page, links):
    """The files that the links of a page name, relative to its folder."""
    return {unquote(link) for link in links if (page.parent / unquote(link)).is_file()}


@pytest.fixture(scope="module")
def warehouse(sample_copy):
    return sample_copy


@pytest.fixture(scope="module")
def site(warehouse):
    export_reports(Layout(warehouse), formats=REPORT_FORMATS)
    return warehouse / "reports" / SITE


@pytest.mark.slow
def test_it_links_to_every_file_and_each_is_there(site):
    page = Page(site)
    below = {str(path.relative_to(site.parent)) for path in site.parent.rglob("*") if path.is_file()}

    assert resolve(site, page.links) == below - {SITE}
    assert {unquote(link) for link in page.links} == below - {SITE}


def test_snapshots_are_listed_the_newest_first_with_their_figures(site):
    assert Page(site).heads() == [
        ("develop", "daily", "2", "82"),
        ("develop-2025-03-30", "2025-03-30", "1", "43"),
        ("develop-2025-03-16", "2025-03-16", "1", "32"),
    ]


@pytest.mark.slow
def test_the_order_is_that_of_the_warehouse(tmp_path):
    names = ["develop", "develop-2025-03-09", "develop-2025-03-02", "v1.0", "v0.23.1", "v0.23", "v0.9", "mine", "b"]
    warehouse = build_pages(tmp_path, {(name, "hdf5"): [make_spec(1)] for name in sorted(names)})
    export_reports(Layout(warehouse), tmp_path / "out", ["csv"])

    assert [row[:2] for row in Page(tmp_path / "out" / SITE).heads()] == [
        (name, {"d": name[8:] or "daily", "v": "release"}.get(name[0], "other")) for name in names
    ]


def test_what_is_written_later_or_removed_shows(warehouse, tmp_path):
    layout = Layout(warehouse)
    export_reports(layout, tmp_path, ["csv"], ["develop"])
    assert [name for name, *_ in Page(tmp_path / SITE).heads()] == ["develop"]
    export_reports(layout, tmp_path, ["xlsx"], ["develop-2025-03-30"])
    assert [name for name, *_ in Page(tmp_path / SITE).heads()] == ["develop", "develop-2025-03-30"]
    assert "develop-2025-03-30/reports.xlsx" in Page(tmp_path / SITE).links
    prune_reports(tmp_path, ["develop-2025-03-30"])
    assert [name for name, *_ in Page(tmp_path / SITE).heads()] == ["develop-2025-03-30"]
    prune_reports(tmp_path, [])
    assert "no report here yet" in (tmp_path / SITE).read_text()


def test_one_that_would_not_change_is_left_alone(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path, ["csv"])
    before = ((tmp_path / SITE).stat().st_mtime_ns, (tmp_path / SITE).stat().st_ino)
    export_reports(Layout(warehouse), tmp_path, ["csv"])
    assert ((tmp_path / SITE).stat().st_mtime_ns, (tmp_path / SITE).stat().st_ino) == before


def test_somebody_elses_page_is_left_alone(warehouse, tmp_path):
    (tmp_path / SITE).write_text("<!doctype html><title>mine</title>")
    export_reports(Layout(warehouse), tmp_path, ["csv"], ["develop"])

    assert (tmp_path / SITE).read_text() == "<!doctype html><title>mine</title>"
    assert (tmp_path / "develop" / "gaps.csv").exists()


@pytest.mark.slow
def test_names_are_text_and_their_links_resolve(tmp_path):
    names = [HOSTILE, 'a"b', "c/../d", "50%25", "#x?y", "javascript:alert(1)"]
    warehouse = build_pages(tmp_path, {(name, "hdf5"): [make_spec(1)] for name in names})
    export_reports(Layout(warehouse), tmp_path / "out", ["csv", "html"])
    page = Page(tmp_path / "out" / SITE)

    assert "script" not in page.tags
    assert {name for name, *_ in page.heads()} == set(names)
    assert len(resolve(tmp_path / "out" / SITE, page.links)) == len(set(page.links))
    assert not [link for link in page.links if ":" in link or link.startswith("/")]


def test_an_index_of_older_reports_is_shown_without_figures():
    entry = {"report": "gaps", "format": "csv", "path": "old/gaps.csv", "bytes": 5, "sha256": "0"}
    text = render_site([{"snapshot": "old", "folder": "old", "reports": [entry]}]).decode()

    assert 'href="old/gaps.csv"' in text
    assert "None" not in text


def test_the_index_lists_a_snapshots_figures(site):
    index = json.loads((site.parent / "index.json").read_text())

    assert [
        (one["snapshot"], one["kind"], one["date"], one["packages"], one["specs"]) for one in index["snapshots"]
    ] == [
        ("develop", "develop", None, 2, 82),
        ("develop-2025-03-16", "weekly", "2025-03-16", 1, 32),
        ("develop-2025-03-30", "weekly", "2025-03-30", 1, 43),
    ]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("width", [320, 1200])
def test_a_browser_shows_it_without_a_word_and_axe_finds_nothing(browser, site, scheme, width):
    # axe is a script of the test's, which the page's policy would refuse.
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700}, bypass_csp=True)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site.as_uri())
    page.locator("summary").first.click()

    files = page.locator("summary").first.inner_text()
    assert files.startswith(f"{len(REPORTS)} tables of develop, each as csv, parquet, json; ")
    # Every file of a snapshot is in sight without scrolling aside, on a narrow screen too.
    links = page.get_by_role("link").locator("visible=true").all()
    assert {"report.html", "summary.md", "xlsx", "csv", "parquet", "json"} <= {link.inner_text() for link in links}
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in (link.bounding_box() for link in links))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    results = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert results.violations_count == 0, results.generate_report()
    assert (said, asked) == ([], [site.as_uri()])
    context.close()


def test_a_browser_keeps_to_its_policy(browser, site):
    context = browser.new_context()
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(site.as_uri())

    assert page.locator("body").evaluate("element => getComputedStyle(element).maxWidth") == "1056px"
    assert said == []
    context.close()


def test_the_folder_can_be_moved(site, tmp_path):
    shutil.copytree(site.parent, tmp_path / "moved")
    page = Page(tmp_path / "moved" / SITE)

    assert len(resolve(tmp_path / "moved" / SITE, page.links)) == len(set(page.links))
    assert os.fsencode(site.parent) not in site.read_bytes()
