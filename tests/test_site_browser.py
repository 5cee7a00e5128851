"""The site in a real Chromium, from a server of this machine: what readers see and reach, and what it never does."""

import datetime as dt
import json
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe

from pipeline.publish.pages import folder_of
from pipeline.publish.status import DUE
from tests.makers import rest_slow
from tests.servers import serve_folder
from tests.sites import PROTO, SCRIPT, THIRD, make_site


def address(kind, name):
    return f"{quote(folder_of(kind, name))}/index.html"


PAGES = {
    "front": "index.html",
    "package": "package/hdf5/index.html",
    "lost package": "package/qemu/index.html",
    "package of an odd name": address("package", SCRIPT),
    "stack": "stack/e4s/index.html",
    "stack of an odd name": address("stack", PROTO),
    "removed stack": "stack/radiuss/index.html",
    "snapshot": f"snapshot/{THIRD}/index.html",
    "packages": "package/index.html",
    "stacks": "stack/index.html",
    "files": "files.html",
}
OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def server(build_once):
    with serve_folder(build_once("site", make_site) / "site") as url:
        yield url


@pytest.fixture
def open_page(browser, server):
    """Open a page of the site in a fresh profile; in the end none has said anything, or asked another host."""
    said, asked, contexts = [], [], []

    def open_one(path, width=1440, now=None, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **{"color_scheme": "light", **options})
        contexts.append(context)
        page = context.new_page()
        if now is not None:
            page.clock.set_fixed_time(dt.datetime(now.year, now.month, now.day, 12, tzinfo=dt.UTC))
        page.on("console", lambda message: said.append((path, message.text)))
        page.on("pageerror", lambda error: said.append((path, str(error))))
        page.on("dialog", lambda dialog: (said.append((path, dialog.message)), dialog.dismiss()))
        page.on("requestfailed", lambda request: said.append((path, request.url)))
        page.on("response", lambda response: response.ok or said.append((path, response.url)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server}/{path}")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert said == []
    assert all(url.startswith((server, "data:")) for url in asked)


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
def test_a_page_fits_its_screen_and_says_and_asks_nothing(open_page, path):
    page = open_page(path)
    assert page.locator("h1").count() == 1
    for width in (390, 640, 768, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


@pytest.mark.parametrize("width", rest_slow([390, 1440]))
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
def test_axe_finds_nothing(open_page, path, width):
    # axe is a script of the test's, which the page's policy would refuse.
    page = open_page(path, width, bypass_csp=True, color_scheme="dark" if width == 390 else "light")
    results = Axe().run(page, options=OPTIONS)
    found = [
        (one["id"], node["target"], node["failureSummary"])
        for one in results.response["violations"]
        for node in one["nodes"]
    ]

    assert found == []


def test_a_name_of_the_data_is_text(open_page):
    page = open_page(PAGES["package of an odd name"])

    assert page.locator("h1").inner_text().startswith(SCRIPT)
    assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0


def test_the_policy_refuses_scripts_and_styles_of_a_page(open_page, server, browser):
    context = browser.new_context()
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{server}/index.html")
    page.evaluate(
        """() => { for (const tag of ["script", "style"]) {
            const made = document.createElement(tag); made.textContent = "throw 1"; document.body.append(made);
        } document.body.setAttribute("style", "color: red"); }"""
    )
    assert len(said) == 3
    assert all("Content Security Policy" in text for text in said)
    context.close()


def test_ages_are_computed_in_the_browser(open_page):
    page = open_page("index.html")
    age = page.locator(".eyebrow .age").first.inner_text()

    assert age.endswith("days old)")
    assert int(age.strip(" (").split()[0].replace(",", "")) > 100


@pytest.mark.parametrize(("late", "shown"), [(20, True), (0, False)])
def test_each_page_says_how_old_it_is_where_the_next_look_is_overdue(open_page, server, late, shown):
    # As a site whose job no longer runs: its own days, seen so many days after the next look was due.
    with urlopen(f"{server}/status.json") as answer:
        status = json.load(answer)
    due = dt.date.fromisoformat(status["next_due"])
    for path in ("index.html", "package/hdf5/index.html", "stack/index.html"):
        page = open_page(path, now=due + dt.timedelta(late))
        if shown:
            page.locator(".due").wait_for()
            assert page.locator(".due").inner_text() == (
                f"{DUE.days + late} days old: the sources were read on {status['read_on']}, and again was due by {due}."
            )
            assert Axe().run(page, options=OPTIONS).response["violations"] == []
        else:
            page.wait_for_load_state("networkidle")
            assert page.locator(".due").is_hidden()


def test_a_page_says_all_without_its_script(open_page):
    page = open_page("package/index.html", java_script_enabled=False)
    assert page.locator("#packages tbody tr").count() > 5
    assert page.locator(".filter").is_hidden()
    page = open_page("package/hdf5/index.html", java_script_enabled=False)
    assert page.locator(".copy").first.is_hidden()
    assert "spack install --cache-only hdf5/" in page.locator("main").inner_text()


def test_find_leads_to_the_package(open_page):
    page = open_page("stack/e4s/index.html")
    page.get_by_role("searchbox", name="Package", exact=True).fill("hdf5@1.14+mpi")
    page.keyboard.press("Enter")
    page.wait_for_url("**/package/index.html?q=*")
    shown = page.locator("#packages tbody tr:visible")

    assert shown.count() == 1
    shown.locator("a").click()
    page.wait_for_url("**/package/hdf5/index.html")
    assert page.locator("h1").inner_text().startswith("hdf5")


def test_the_filter_says_how_many_it_shows(open_page):
    page = open_page("package/index.html")
    total = page.locator("#packages tbody tr").count()
    page.get_by_label("Show those whose name has").fill("QEM")

    assert page.locator("#packages tbody tr:visible").count() == 1
    assert page.locator(".filter [role=status]").inner_text() == f"1 of {total}"


def test_a_line_to_install_by_is_copied(open_page):
    page = open_page("package/hdf5/index.html", permissions=["clipboard-read", "clipboard-write"])
    button = page.locator(".inst .copy").first
    button.click()

    assert page.evaluate("navigator.clipboard.readText()") == button.get_attribute("data-copy")
    assert button.inner_text().startswith("Copied")


def test_everything_is_reached_by_the_keyboard_and_the_focus_is_seen(open_page):
    page = open_page("package/hdf5/index.html")
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, summary, [tabindex]")]
            .filter((one) => one.checkVisibility()).length"""
    )
    reached = set()
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => { const one = document.activeElement; const all = [...document.querySelectorAll("*")];
            return [all.indexOf(one), one.tagName, getComputedStyle(one).outlineStyle]; }"""
        )
        if told[1] != "BODY":
            assert told[2] != "none", told
            reached.add(told[0])
    assert len(reached) == wanted


def test_the_first_tab_skips_to_the_content(open_page):
    page = open_page("index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_latest_leads_to_the_newest_report(open_page):
    page = open_page("latest/index.html")
    page.wait_for_url("**/develop/report.html")
    assert page.locator("h1").count() >= 1


def test_a_tour_from_the_front_page_to_a_spec(open_page):
    page = open_page("index.html")
    page.get_by_role("link", name="lima").first.click()
    page.wait_for_url("**/package/lima/index.html")
    page.get_by_role("link", name="qemu").first.click()
    page.wait_for_url("**/package/qemu/index.html")
    page.get_by_role("link", name="e4s", exact=True).first.click()
    page.wait_for_url("**/stack/e4s/index.html")
    page.get_by_role("link", name=THIRD).first.click()
    page.wait_for_url(f"**/snapshot/{THIRD}/index.html")
    page.get_by_role("link", name="Report: matrix, search, trends").click()
    page.wait_for_url(f"**/{THIRD}/report.html")
