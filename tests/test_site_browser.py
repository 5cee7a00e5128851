"""The site in a real Chromium, from a server of this machine: what readers see and reach, and what it never does.

All tests share one site and one window; in the end of each it has said nothing, and asked no other host.
"""

import datetime as dt
import html
import json
from urllib.parse import quote, unquote
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe

from pipeline.publish.pages import folder_of
from pipeline.publish.status import DUE
from tests.makers import rest_slow
from tests.servers import serve_folder
from tests.sites import (
    BASE_URL,
    GONE,
    GONE_PACKAGE,
    ODD_NAMES,
    ODD_SNAPSHOT,
    ODD_STACKS,
    PROTO,
    SCRIPT,
    SECOND,
    THIRD,
    make_whole_site,
)


def address(kind, name):
    return f"{quote(folder_of(kind, name))}/index.html"


PAGES = {
    "front": "index.html",
    "package": "package/hdf5/index.html",
    "lost package": "package/qemu/index.html",
    "gone package": f"package/{GONE_PACKAGE}/index.html",
    "package of an odd name": address("package", SCRIPT),
    "stack": "stack/e4s/index.html",
    "stack of an odd name": address("stack", PROTO),
    "removed stack": "stack/radiuss/index.html",
    "stack that is not known": "stack/hep/index.html",
    "snapshot": f"snapshot/{THIRD}/index.html",
    "pruned snapshot": f"snapshot/{SECOND}/index.html",
    "gone snapshot": f"snapshot/{GONE}/index.html",
    "snapshot of an odd name": address("snapshot", ODD_SNAPSHOT),
    "packages": "package/index.html",
    "stacks": "stack/index.html",
    "files": "files.html",
    "data": "data/index.html",
}
VARIED = [name for name in PAGES if name.startswith(("gone", "pruned")) or "odd" in name or "not known" in name]
AXED = {name: PAGES[name] for name in [*(one for one in PAGES if one not in VARIED), *VARIED]}
"""Of each kind one page first, then what differs in little but names."""
OF_OWN_KIND = len(PAGES) - len(VARIED)
REPORT = f"{THIRD}/report.html"
WIDTHS = (390, 768, 1024, 1440)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OUTSIDE = ("https://packages.spack.io/package.html?name=", BASE_URL)
"""Where links of the site may lead beside itself: recipes, and its own address."""


@pytest.fixture(scope="module")
def site(build_once):
    return build_once("whole-site", make_whole_site) / "site"


@pytest.fixture(scope="module")
def server(site):
    with serve_folder(site) as url:
        yield url


@pytest.fixture(scope="module")
def window(browser, server):
    """One page for all tests, and what it said and asked for."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append((page.url, message.text)))
    page.on("pageerror", lambda error: said.append((page.url, str(error))))
    page.on("dialog", lambda dialog: (said.append((page.url, dialog.message)), dialog.dismiss()))
    page.on("response", lambda response: response.status < 400 or said.append((page.url, response.url)))
    context.on("request", lambda request: asked.append(request.url))
    yield page, said, asked
    context.close()


@pytest.fixture
def open_page(window, server):
    page, said, asked = window

    def open_one(path, width=1440, scheme="light"):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{server}/{path}")
        return page

    yield open_one
    found, others = said[:], [url for url in asked if not url.startswith((server, "data:"))]
    said.clear()
    asked.clear()
    assert found == []
    assert others == []


def list_violations(page):
    return [
        (one["id"], node["target"], node["failureSummary"])
        for one in Axe().run(page, options=RULES).response["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
def test_a_page_fits_each_width(open_page, path):
    page = open_page(path)
    assert page.locator("h1").count() == 1
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("look", rest_slow([(390, "dark"), (1440, "light"), (768, "light")]), ids=str)
@pytest.mark.parametrize("path", rest_slow(AXED.values(), OF_OWN_KIND), ids=AXED.keys())
def test_axe_finds_nothing(open_page, path, look):
    assert list_violations(open_page(path, *look)) == []


@pytest.mark.parametrize("path", [*PAGES.values(), "latest/index.html"], ids=[*PAGES.keys(), "latest"])
def test_a_page_has_a_policy_that_lets_nothing_in(server, path):
    with urlopen(f"{server}/{path}") as answer:
        page = answer.read().decode()
    policy = html.unescape(page.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0])

    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy
    assert "base-uri 'none'" in policy


def test_the_policy_refuses_scripts_and_styles_of_a_page(window, server):
    page, said, _ = window
    page.goto(f"{server}/index.html")
    page.evaluate(
        """() => { for (const tag of ["script", "style"]) {
            const made = document.createElement(tag); made.textContent = "throw 1"; document.body.append(made);
        } document.body.setAttribute("style", "color: red"); }"""
    )
    texts = [text for _, text in said]
    said.clear()

    assert len(texts) == 3
    assert all("Content Security Policy" in text for text in texts)


# A page fetches all others, and the browser's own parser says where their links lead.
CRAWL = """async (seeds) => {
  const pages = new Map(), found = {broken: [], outside: [], pages: []}, files = new Map();
  const queue = seeds.map((url) => [url, "(seed)"]);
  const check = (url, from) => {
    if (!files.has(url)) files.set(url, fetch(url).then((answer) => answer.ok ? answer : null, () => null));
    return files.get(url);
  };
  const read = async (url, from) => {
    if (pages.has(url)) return pages.get(url);
    const answer = await check(url, from);
    const html = answer && (url.endsWith(".html") || url.endsWith("/")) ? await answer.clone().text() : null;
    const dom = html === null ? answer : new DOMParser().parseFromString(html, "text/html");
    pages.set(url, dom);
    if (html === null) return dom;
    found.pages.push(url);
    for (const one of dom.querySelectorAll("[href], [src], meta[http-equiv=refresh]")) {
      const link = one.getAttribute("href") ?? one.getAttribute("src") ?? one.content.split("url=")[1];
      if (link.startsWith("data:")) continue;
      queue.push([new URL(link, url).href, url]);
    }
    return dom;
  };
  while (queue.length) {
    const [link, from] = queue.shift();
    const url = new URL(link), id = decodeURIComponent(url.hash.slice(1));
    url.hash = "";
    if (url.origin !== location.origin) { found.outside.push([link, from]); continue; }
    const dom = await read(url.href, from);
    if (!dom) found.broken.push([link, from]);
    // The report's addresses stand behind the hash: its own script reads them.
    else if (id && dom.getElementById && !url.pathname.endsWith("/report.html") && !dom.getElementById(id))
      found.broken.push([link, from]);
  }
  return found;
}"""


def test_no_link_is_broken_and_none_leads_away(open_page, browser, site, server):
    page = open_page(REPORT)
    # What the report's script draws is in no source.
    drawn = set()
    for view in ("overview", "matrix", f"find?package={quote(SCRIPT)}", "gaps", "trends", "compare"):
        page.goto(f"{server}/{REPORT}#{view}")
        page.locator(f"#view-{view.partition('?')[0]}").wait_for()
        drawn.update(page.evaluate("[...document.links].map((one) => one.href)"))
    # Pages that are parsed stand under the policy of the one that parses them.
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{server}/index.html")
    found = page.evaluate(CRAWL, [f"{server}/index.html", *sorted(drawn)])
    context.close()

    assert found["broken"] == []
    assert [link for link, _ in found["outside"] if not link.startswith(OUTSIDE)] == []
    reached = {unquote(url.removeprefix(f"{server}/")) for url in found["pages"]}
    assert reached >= {str(path.relative_to(site)) for path in site.rglob("*.html")}


# Of each page that a list leads to: path, name, heading, name in the JSON and on both badges, title of the feed.
READ_NAMED = """async ([kind, list]) => {
  const fetched = async (url) => (await fetch(url)).text();
  const parsed = async (url, as) => new DOMParser().parseFromString(await fetched(url), as);
  const links = [...(await parsed(list, "text/html")).querySelectorAll("tbody th a")];
  return Promise.all(links.map(async (link) => {
    const url = new URL(link.getAttribute("href"), list);
    const at = (name) => new URL(name, url);
    const page = await parsed(url, "text/html"), data = JSON.parse(await fetched(at("index.json")));
    const badge = await parsed(at("badge.svg"), "text/xml"), feed = await parsed(at("feed.atom"), "text/xml");
    return [url.pathname, link.textContent, page.querySelector("h1").firstChild.data.trim(), data[kind],
      JSON.parse(await fetched(at("badge.json"))).label, badge.querySelector("text").textContent,
      feed.querySelector("title").textContent];
  }));
}"""


@pytest.mark.parametrize(
    ("kind", "names", "title"),
    [("package", ODD_NAMES, "Losses of "), ("stack", (PROTO, *ODD_STACKS), "Losses of the stack ")],
)
def test_each_odd_name_has_a_page_a_feed_and_a_badge_of_its_own(open_page, server, kind, names, title):
    read = open_page("index.html").evaluate(READ_NAMED, [kind, f"{server}/{kind}/index.html"])

    assert {name for _, name, *_ in read} >= set(names)
    paths = [unquote(path).lower() for path, *_ in read]
    assert len(set(paths)) == len(paths), "names that differ in nothing but case have folders of their own"
    for path, name, heading, in_data, in_badge, on_badge, in_feed in read:
        plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
        assert (heading, in_data, in_badge, on_badge, in_feed) == (name, name, name, plain, f"{title}{plain}")
        assert path == f"/{address(kind, name)}"


def test_names_of_the_data_are_text_everywhere(open_page):
    for kind, name in [("package", SCRIPT), ("package", GONE_PACKAGE), ("snapshot", GONE), ("snapshot", ODD_SNAPSHOT)]:
        page = open_page(address(kind, name))
        assert page.evaluate("document.querySelectorAll('main script, main img, main b > b, h1 b').length") == 0
    text = page.locator("main").inner_text()
    assert ODD_SNAPSHOT in text
    for stack in ODD_STACKS:
        assert stack in text


def test_ages_are_computed_in_the_browser(open_page):
    page = open_page("index.html")
    age = page.locator(".eyebrow .age").first.inner_text()

    assert age.endswith("days old)")
    assert int(age.strip(" (").split()[0].replace(",", "")) > 100


@pytest.mark.parametrize(("late", "shown"), [(20, True), (0, False)])
def test_each_page_says_how_old_it_is_where_the_next_look_is_overdue(browser, server, late, shown):
    # As a site whose job no longer runs: its own days, seen so many days after the next look was due.
    with urlopen(f"{server}/status.json") as answer:
        status = json.load(answer)
    due = dt.date.fromisoformat(status["next_due"])
    now = due + dt.timedelta(late)
    context = browser.new_context()
    context.clock.set_fixed_time(dt.datetime(now.year, now.month, now.day, 12, tzinfo=dt.UTC))
    page = context.new_page()
    for path in (REPORT, "index.html", "package/hdf5/index.html")[: 3 if shown else 1]:
        with page.expect_response("**/status.json") as answer:
            page.goto(f"{server}/{path}")
        assert answer.value.ok
        if shown:
            page.locator(".due").wait_for()
            assert page.locator(".due").inner_text() == (
                f"{DUE.days + late} days old: the sources were last read on {status['read_on']}; "
                f"the next reading was due by {due}."
            )
        else:
            page.wait_for_load_state("networkidle")
            assert page.locator(".due").is_hidden()
        if shown and path != REPORT:  # whose views have tests of their own
            assert list_violations(page) == []
    context.close()


def test_a_page_says_all_without_its_script(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}/package/index.html")
    assert page.locator("#packages tbody tr").count() > 5
    assert page.locator(".filter").is_hidden()
    page.goto(f"{server}/package/hdf5/index.html")
    assert page.locator(".copy").first.is_hidden()
    assert "spack install --cache-only hdf5/" in page.locator("main").inner_text()
    context.close()


def test_find_leads_to_the_package_by_keyboard_alone(open_page):
    page = open_page("stack/e4s/index.html")
    while page.evaluate("document.activeElement.id") != "find":
        page.keyboard.press("Tab")
    page.keyboard.type("hdf5@1.14+mpi")
    page.keyboard.press("Enter")
    page.wait_for_url("**/package/index.html?q=*")
    shown = page.locator("#packages tbody tr:visible")

    assert shown.locator("a").all_inner_texts() == ["hdf5", "HDF5"]
    while page.evaluate("document.activeElement.textContent") != "hdf5":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/package/hdf5/index.html")
    assert page.locator("h1").inner_text().startswith("hdf5")


def test_the_filter_says_how_many_it_shows(open_page):
    page = open_page("package/index.html")
    total = page.locator("#packages tbody tr").count()
    page.get_by_label("Show those whose name has").fill("QEM")

    assert page.locator("#packages tbody tr:visible").count() == 1
    assert page.locator(".filter [role=status]").inner_text() == f"1 of {total}"


def test_a_line_to_install_by_is_copied(open_page):
    page = open_page("package/hdf5/index.html")
    button = page.locator(".inst .copy").first
    button.focus()
    page.keyboard.press("Enter")

    page.locator(".inst .copy", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == button.get_attribute("data-copy")


@pytest.mark.parametrize("kind", ["front", "package", "stack", "packages"])
def test_everything_is_reached_by_the_keyboard_in_its_order_and_the_focus_is_seen(open_page, kind):
    page = open_page(PAGES[kind])
    wanted = page.evaluate(
        """() => { window.all = [...document.querySelectorAll("a, button, input, summary, [tabindex]")]
            .filter((one) => one.checkVisibility()); return all.length; }"""
    )
    reached = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        at, outline, seen = page.evaluate(
            """() => { const one = document.activeElement, place = one.getBoundingClientRect();
            return [all.indexOf(one), getComputedStyle(one).outlineStyle,
                place.bottom > 0 && place.top < innerHeight && place.right > 0 && place.left < innerWidth]; }"""
        )
        assert outline != "none"
        assert seen
        reached.append(at)
    assert reached == list(range(wanted))


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
