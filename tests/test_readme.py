"""The documents are true: what they show of commands and queries, their commands and options, their links."""

import json
import re
import shlex
import shutil
from itertools import pairwise
from urllib.parse import unquote

import click
import pytest
from markdown_it import MarkdownIt

from pipeline.cli import cli
from tests.commands import run
from tests.makers import ask
from tests.readme import DOCUMENTS, PAGES, PART, README, ROOT, mask, read_commands, render_document
from tests.scenes import SCENES

DOCS = ROOT / "docs"
LINKING = (*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
MOST_LINES, MOST_BYTES = 200, 8192
"""Of the README: what one reads at once."""
PARAMETERS = [one for command in cli.commands.values() for one in command.params]
OPTIONS = {"--help", "--version", *(name for one in PARAMETERS for name in (*one.opts, *one.secondary_opts))}


def name_of(document):
    return document.relative_to(ROOT).as_posix()


def read_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def list_commands(document):
    """The commands of this project in the blocks of a document, each as its words."""
    blocks = (match for match in PART.finditer(document.read_text()) if match["language"] == "console")
    given = (shlex.split(command, comments=True) for match in blocks for command, _ in read_commands(match["body"]))
    return [words[1:] for words in given if words[0] == "spack-warehouse"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_what_a_document_shows_is_current(document, sample):
    text = document.read_text()

    assert render_document(text, sample) == text, "the documents are old: run `make readme`"


def test_the_readme_is_short():
    text = README.read_bytes()

    assert len(text.splitlines()) <= MOST_LINES
    assert len(text) <= MOST_BYTES


def test_five_questions_have_answers_and_many_more_in_the_cookbook():
    (questions,) = re.findall(r"^## Five questions\n(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)

    assert len(re.findall(r"^\*\*.*?\?\*\*", questions, re.MULTILINE)) == 5
    assert len(read_blocks(questions, "(?:sql|console)")) == 5
    assert len(read_blocks((DOCS / "questions.md").read_text(), "sql")) >= 10


def test_every_command_has_its_row():
    for document in (README, DOCS / "commands.md"):
        rows = re.findall(r"^\| `(?:spack-warehouse )?([a-z]+)\b", document.read_text(), re.MULTILINE)
        assert set(rows) >= set(cli.commands), name_of(document)


def test_every_target_of_make_is_documented():
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    texts = "\n".join(document.read_text() for document in LINKING)

    assert set(targets) <= set(re.findall(r"make ([a-z-]+)", texts))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_the_options_of_shown_commands_are_there(document):
    for name, *arguments in list_commands(document):
        command = cli.commands[name]
        command.make_parser(click.Context(command)).parse_args(list(arguments))


def test_options_in_the_prose_are_there():
    named = {}
    for document in DOCUMENTS:
        for token in MarkdownIt("commonmark").enable("table").parse(document.read_text()):
            for child in token.children or ():
                if child.type == "code_inline" and (found := re.match(r"--[a-z-]+", child.content)):
                    named[found[0]] = name_of(document)

    assert {name: where for name, where in named.items() if name not in OPTIONS} == {}


def test_every_scene_is_of_a_section():
    titles = {match["title"] for document in DOCUMENTS for match in PART.finditer(document.read_text())}

    assert set(SCENES) <= titles


@pytest.fixture(scope="module")
def scheduled():
    return (DOCS / "scheduled.md").read_text()


@pytest.mark.slow
def test_the_log_and_the_notification_of_a_run_are_as_shown(scheduled, tmp_path):
    shutil.copytree(ROOT / PAGES, tmp_path / PAGES)
    (config,) = read_blocks(scheduled, "yaml")
    (tmp_path / "coverage.yaml").write_text(config)
    line, notification = read_blocks(scheduled, "json")

    done = run("run", "--config", "coverage.yaml", "--log-format", "json", cwd=tmp_path, SPACK_WAREHOUSE_WEBHOOK=None)

    assert done.returncode == 3
    assert mask(line.strip()) in map(mask, done.stderr.splitlines())
    assert json.loads(notification) == json.loads((tmp_path / "warehouse" / "notification.json").read_text())


def test_the_cron_line_is_that_of_the_file(scheduled):
    (line,) = read_blocks(scheduled, "cron")

    assert line in (ROOT / "contrib" / "spack-warehouse.cron").read_text()


def list_links(document):
    """Where the links and pictures of a document lead."""
    for token in MarkdownIt("commonmark").enable("table").parse(document.read_text()):
        for child in token.children or ():
            if child.type in ("link_open", "image"):
                yield str(child.attrs["href" if child.type == "link_open" else "src"])


def list_anchors(document):
    """The anchors of a document's headings, as GitHub and MkDocs make them of their words."""
    tokens = MarkdownIt("commonmark").enable("table").parse(document.read_text())
    titles = [one.content for head, one in pairwise(tokens) if head.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def is_broken(link, document):
    """Whether a link leads to no file of the project, or to no heading of it. The web's are not looked at."""
    path, _, anchor = unquote(link).partition("#")
    if "://" in path:
        return False
    target = (document.parent / path).resolve() if path else document
    is_there = target.is_relative_to(ROOT) and target.exists()
    return not is_there or (anchor != "" and anchor not in list_anchors(target))


@pytest.mark.parametrize("document", LINKING, ids=name_of)
def test_links_lead_to_files_and_anchors_that_are_there(document):
    assert [link for link in list_links(document) if is_broken(link, document)] == []


def test_every_document_is_linked_from_the_readme_and_from_the_list():
    for start, folder in ((README, ROOT), (DOCS / "README.md", DOCS)):
        linked = {(folder / link).resolve() for link in list_links(start) if "://" not in link}
        assert set(DOCS.glob("*.md")) - {DOCS / "README.md"} <= linked, name_of(start)


@pytest.fixture(scope="module")
def with_reports(sample, tmp_path_factory):
    """A folder in which the warehouse of the sample pages is ``warehouse``, with its reports."""
    folder = tmp_path_factory.mktemp("python")
    shutil.copytree(sample, folder / "warehouse", symlinks=True)
    run("report", "--format", "csv", "--snapshot", "develop", cwd=folder)
    return folder


def run_python(module, folder, monkeypatch):
    """The names that the one block of Python which imports a module leaves."""
    texts = [document.read_text() for document in DOCUMENTS]
    (block,) = (
        block for text in texts for block in read_blocks(text, "python") if block.startswith(f"import {module}")
    )
    monkeypatch.chdir(folder)
    names = {}
    exec(block, names)
    return names


def test_the_parquet_in_polars_is_what_the_views_say(with_reports, monkeypatch):
    names = run_python("polars", with_reports, monkeypatch)
    by_stack = names["rows"].filter(names["pl"].col("stack") != "root").group_by("snapshot", "stack")
    counted = by_stack.agg(packages=names["pl"].col("package").n_unique(), specs=names["pl"].len()).collect()

    rows = ask(with_reports / "warehouse", "select snapshot, stack, packages, specs from summary_by_stack")
    assert sorted(counted.rows()) == sorted(rows)
    assert names["covered"].collect().height == len({stack for _, stack, *_ in rows})


def test_python_asks_the_warehouse(with_reports, monkeypatch, capsys):
    names = run_python("duckdb", with_reports, monkeypatch)
    names["connection"].close()

    assert "ml-linux-x86_64-rocm" in capsys.readouterr().out


def test_python_reads_the_csv_reports_exactly(with_reports, monkeypatch):
    names = run_python("csv", with_reports, monkeypatch)

    rows = ask(with_reports / "warehouse", "select stack from coverage_by_stack where snapshot = 'develop'")
    column = names["rows"][0].index("stack")
    assert sorted(row[column] for row in names["rows"][1:]) == sorted(stack for (stack,) in rows)
