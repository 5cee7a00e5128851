"""A snapshot's page among others, from a server of this machine: links both ways, the switch, any two compared."""

import time
from urllib.parse import quote, unquote

import pytest

from tests.makers import ask
from tests.servers import serve_folder
from tests.sites import FIRST, PROTO, SCRIPT, SECOND, THIRD, make_site

PAGE = f"{THIRD}/report.html"


@pytest.fixture(scope="module")
def folder(build_once):
    return build_once("site", make_site)


@pytest.fixture(scope="module")
def server(folder):
    with serve_folder(folder / "site") as url:
        yield url


@pytest.fixture
def open_page(browser, server):
    """Open a report of the site in a fresh profile; in the end it has said nothing, and asked no other host."""
    said, asked, contexts = [], [], []

    def open_one(address, width=1280):
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server}/{address}")
        settle(page)
        return page

    open_one.asked = asked
    yield open_one
    for context in contexts:
        context.close()
    assert said == []
    assert all(url.startswith((server, "data:")) for url in asked)


def settle(page):
    """Wait until what the address asks for is shown; the page's policy refuses Playwright's own way."""
    end = time.monotonic() + 15
    root = "document.documentElement.dataset"
    while not page.evaluate(f"{root}.ready && {root}.shown === (location.hash || '#overview')"):
        assert time.monotonic() < end, page.url
        time.sleep(0.02)


def grid_rows(page):
    return page.evaluate("Tabulator.findTable('section:not([hidden]) .tabulator')[0].getData('active')")


def test_a_report_in_a_site_links_to_the_pages_around_it(open_page, folder, server):
    page = open_page(PAGE)
    page.goto(f"{server}/{PAGE}#overview")
    links = page.evaluate("[...document.querySelectorAll('header a, main a')].map((one) => one.getAttribute('href'))")
    outside = {link for link in links if not link.startswith("#")}
    page.goto(f"{server}/{PAGE}#find?q=hdf5")
    settle(page)
    outside.add(page.locator("#view-find .summary a").get_attribute("href"))

    assert {"../index.html", f"../snapshot/{THIRD}/index.html", "../package/hdf5/index.html"} <= outside
    assert {f"../stack/{name}/index.html" for name in ("e4s", "hep", "radiuss", PROTO)} <= outside
    assert all((folder / "site" / THIRD / unquote(link)).is_file() for link in outside), outside


def test_every_package_is_linked_to_its_page(open_page, folder, server):
    page = open_page(PAGE)
    names = ask(folder / "warehouse", f"select distinct package from specs where snapshot = '{THIRD}'")
    assert (SCRIPT,) in names
    for (name,) in names:
        page.goto(f"{server}/{PAGE}#find?package={quote(name)}")
        settle(page)
        link = page.locator("#view-find .summary a").get_attribute("href")
        assert (folder / "site" / THIRD / unquote(link)).is_file(), name


def test_the_switch_leads_to_the_same_view_of_another_snapshot(open_page):
    page = open_page(f"{PAGE}#matrix?axis=target")
    assert not [url for url in open_page.asked if "index.json" in url], "who does not choose asks for nothing"
    page.locator("#snapshot").focus()
    page.locator("#snapshot").select_option(FIRST)
    page.wait_for_url(f"**/{FIRST}/report.html#matrix?axis=target")
    settle(page)
    assert page.locator("h1").inner_text() == FIRST


@pytest.mark.parametrize(("this", "other"), [(SECOND, FIRST), (FIRST, THIRD), ("develop", SECOND)])
def test_any_two_snapshots_are_compared(open_page, folder, this, other):
    page = open_page(f"{this}/report.html#compare?with={other}")
    rows = {row["package"]: row for row in grid_rows(page)}
    held, hashes = {}, {}
    for snapshot in (this, other):
        specs = ask(folder / "warehouse", f"select package, hash, stacks from specs where snapshot = '{snapshot}'")
        hashes[snapshot] = {hash for _, hash, _ in specs}
        held[snapshot] = {name: set() for name, *_ in specs}
        for name, _, stacks in specs:
            held[snapshot][name].update(stacks)

    assert {name for name, row in rows.items() if row["change"] == "lost"} == held[other].keys() - held[this].keys()
    assert {name for name, row in rows.items() if row["change"] == "gained"} == held[this].keys() - held[other].keys()
    for package in held[this].keys() & held[other].keys():
        lost, gained = held[other][package] - held[this][package], held[this][package] - held[other][package]
        row = rows.get(package, {"lost": [], "gained": []})
        assert (set(row["lost"]), set(row["gained"])) == (lost, gained)
    shown = page.locator("#view-compare table").first.locator("td").all_inner_texts()
    assert list(map(int, shown)) == [
        len(hashes[this] & hashes[other]),
        len(hashes[other] - hashes[this]),
        len(hashes[this] - hashes[other]),
    ]


def test_what_a_source_does_not_say_is_not_called_lost_without_a_word(open_page):
    page = open_page(f"{THIRD}/report.html#compare?with={SECOND}")

    assert "What is missing there may not be lost" in page.locator("#view-compare").inner_text()


def test_a_snapshot_that_is_not_there_is_said_to_be_not(open_page):
    page = open_page(f"{PAGE}#compare?with=<b>x</b>")

    assert (
        page.locator("#view-compare .summary").inner_text()
        == "<b>x</b> could not be read: there is no report of it beside this page"
    )
    assert page.locator("#view-compare code").inner_text() == f"spack-warehouse diff '<b>x</b>' {THIRD}"


def test_from_a_disk_the_switch_is_there_and_compare_says_what_to_do(browser, folder):
    page = browser.new_page()
    page.goto((folder / "site" / PAGE).as_uri() + f"#compare?with={FIRST}")
    settle(page)

    assert "a page that is opened from a disk may read no other" in page.locator("#view-compare").inner_text()
    options = page.locator("#snapshot option").all_inner_texts()
    assert options[0] == THIRD
    assert {FIRST, SECOND, "develop"} < set(options)
    page.close()
