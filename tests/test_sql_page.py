"""The page to ask in SQL, in a real Chromium: the answers of the warehouse, and nothing asked of another host."""

import csv
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe

from pipeline.catalog.publish import Wish, publish_data
from pipeline.layout import Layout
from tests.commands import run
from tests.makers import ask
from tests.servers import serve_folder
from tests.sites import FIRST, SECOND, THIRD, build_site_warehouse

FOREVER = "select count(*) from range(1_000_000_000_000) a, range(1_000_000) b where hash(a.range + b.range) = 1"


@pytest.fixture(scope="module")
def published(build_once, wasm):
    def make(folder):
        build_site_warehouse(folder, without=(THIRD, "develop", "package"))
        publish_data(Layout(folder / "warehouse"), folder / "out", Wish(wasm=wasm, history=2))

    folder = build_once("sql-page", make)
    with serve_folder(folder / "out") as url:
        yield folder / "warehouse", folder / "out", url


@pytest.fixture(scope="module")
def page(browser, published):
    """The page with two neighbours open, for all tests; in the end it has said nothing, and asked no other host."""
    _, _, url = published
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    asked, said = [], []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    # The engine itself notes each file that a query writes.
    page.on("console", lambda message: message.type in ("error", "assert") and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{url}/sql/index.html#db={quote(f'{FIRST}/{SECOND}', safe='')}")
    page.wait_for_function("() => document.querySelector('#query').value !== ''")
    assert not [one for one in asked if "engine" in one or "duckdb" in one], "it loads before the click"
    page.click("#open")
    wait_for_state(page, "Open: ")
    yield page
    context.close()
    assert asked
    assert [one for one in asked if not one.startswith((f"{url}/", f"blob:{url}", "data:"))] == []
    assert said == []


def wait_for_state(page, text):
    page.wait_for_function(
        "text => document.querySelector('#state').textContent.includes(text) || "
        "document.querySelector('#error').textContent",
        arg=text,
        timeout=60_000,
    )
    assert page.text_content("#error") == ""


def ask_page(page, query):
    """The rows that the page shows, as texts."""
    page.fill("#query", query)
    page.click("#run")
    wait_for_state(page, " row")
    return page.eval_on_selector_all(
        "#result tbody tr", "lines => lines.map(line => [...line.cells].map(cell => cell.textContent))"
    )


def as_texts(rows):
    """What the page makes of a warehouse's rows."""
    return [[show(value) for value in row] for row in rows]


def show(value):
    if value is None:
        return "NULL"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@pytest.mark.parametrize(
    "query",
    [
        "select * from summary_by_stack where snapshot = '{SECOND}' order by stack",
        "from matrix_by_compiler where snapshot = '{SECOND}' order by package",
        "from lost('{FIRST}', '{SECOND}') order by all",
    ],
    ids=["summary", "matrix", "lost"],
)
def test_it_answers_as_the_warehouse_does(published, page, query):
    query = query.format(FIRST=FIRST, SECOND=SECOND)
    rows = ask(published[0], query)

    assert rows
    assert ask_page(page, query) == as_texts(rows)


def test_every_example_gives_the_answer_of_the_warehouse(published, page):
    listed = json.loads((published[1] / "sql" / "databases.json").read_text())
    (pair,) = [one for one in listed["databases"] if one["snapshots"] == [FIRST, SECOND]]

    assert len(pair["questions"]) == 7
    for question in pair["questions"]:
        page.select_option("#examples", label=question["title"])
        assert page.input_value("#query") == question["sql"]
        assert ask_page(page, question["sql"]) == as_texts(ask(published[0], question["sql"]))


def test_the_address_holds_the_query(published, page):
    query = "select 'a&b=c #ü' as text, 1 as n union all select null, 2 order by n"
    assert ask_page(page, query) == [["a&b=c #ü", "1"], ["NULL", "2"]]
    again = page.context.new_page()
    again.goto(page.url)
    again.wait_for_function("() => document.querySelector('#query').value !== ''")

    assert again.input_value("#query") == query
    assert again.eval_on_selector("#database", "one => one.value") == f"{FIRST} and {SECOND}"
    again.close()


def test_it_shows_the_schema_a_chart_and_gives_csv(page):
    names = set(page.eval_on_selector_all("#schema summary", "all => all.map(one => one.textContent)"))
    assert {"specs", "spec_stacks", "summary_by_stack", "changes"} <= names
    query = f"select stack, specs, 'a, \"b\"' as odd from summary_by_stack where snapshot = '{SECOND}' order by stack"
    rows = ask_page(page, query)
    assert page.locator("#chart rect").count() == len(rows) > 1
    with page.expect_download() as download:
        page.click("#csv")
    with Path(download.value.path()).open(newline="") as file:
        assert list(csv.reader(file)) == [["stack", "specs", "odd"], *rows]


def test_a_query_that_never_ends_is_stopped(page):
    page.fill("#query", FOREVER)
    page.click("#run")
    page.wait_for_function("() => !document.querySelector('#stop').disabled")
    page.wait_for_timeout(300)
    page.click("#stop")
    wait_for_state(page, "Open: ")

    assert ask_page(page, "select 42 as n") == [["42"]]


def test_a_wrong_query_is_explained(page):
    page.fill("#query", "from no_such_view")
    page.click("#run")
    page.wait_for_function("() => document.querySelector('#error').textContent")

    assert "no_such_view" in page.text_content("#error")
    assert ask_page(page, "select 1 as n") == [["1"]]


def test_only_so_many_rows_are_shown(page):
    assert len(ask_page(page, "from range(200_000)")) == 1000
    assert page.text_content("#state").startswith("the first 1,000 rows")
    assert ask_page(page, "select count(*) from range(10)") == [["10"]]


def test_all_can_use_it(page):
    ask_page(page, "from summary_by_stack order by all")
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

    assert Axe().run(page, options=options).response["violations"] == []


def test_this_page_alone_may_run_webassembly(published):
    policies = {}
    for path in published[1].rglob("*.html"):
        policies[path.relative_to(published[1]).as_posix()] = re.search(r'Policy" content="([^"]*)"', path.read_text())[
            1
        ]

    assert {path for path, policy in policies.items() if "wasm-unsafe-eval" in policy} == {"sql/index.html"}
    assert "'unsafe-" not in policies["sql/index.html"]


def test_the_history_is_cut(published):
    listed = json.loads((published[1] / "sql" / "databases.json").read_text())["databases"]

    assert ask(published[0], "select snapshot from snapshots order by sort_position") == [
        ("v0.23.1",),
        (FIRST,),
        (SECOND,),
    ]
    assert [one["snapshots"] for one in listed] == [[FIRST], [SECOND], [FIRST, SECOND]]


def test_a_folder_without_the_engine_is_named(sample, tmp_path):
    done = run("publish", "--warehouse", sample, "--out", tmp_path / "out", "--wasm", tmp_path)

    assert done.returncode == 1
    assert "duckdb-browser.cjs: is not there" in done.stderr
    assert not (tmp_path / "out").exists()
