"""The parts of the documents that are made: what their queries and commands print, and the data dictionary.

``python -m tests.readme`` (``make readme``) writes them anew; a test fails while they are old. An SQL block is followed
by its answer in a block of ``text``. A block of ``console`` that shows what its commands print is run, in the folder
that the section's scene prepares; one that shows nothing, such as a build from the network, is not. To add one, write
``?`` for the answer.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import duckdb

from pipeline.layout import Layout
from pipeline.schema import COMPUTED_TABLES, DERIVED_TABLES, STORED_SPECS, TABLES, Column, Relation, describe_wide
from pipeline.store.database import list_columns, open_database
from pipeline.store.sqlfiles import describe_macros, describe_views
from tests import commands, scenes

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))
PAGES = "tests/data/pages"

SHOWN = (0, 2, 3)
"""Exit statuses of commands that documents show: done, wrong usage, something fails."""

# What of a document's text counts: headings; an SQL block and its answer; other blocks of code, also in a list.
PART = re.compile(
    r"^```sql\n(?P<query>.*?)^```\n\n```text\n(?P<answer>.*?)^```\n"
    r"|^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$"
    r"|^#+ (?P<title>[^\n]*)$",
    re.MULTILINE | re.DOTALL,
)
DICTIONARY = re.compile(r"(?<=<!-- dictionary -->\n)(?P<dictionary>.*?)(?=<!-- end of dictionary -->)", re.DOTALL)
# What is another each time: times of a log, days of a state, what it took, and a size that libraries make.
CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    r"|(?<![\w-])\d{4}-\d\d-\d\d(?= stays| │)"
    r"|\d+\.\d seconds| +\d+\.\d s |\"seconds\":[\d.]+|[\d,]+ bytes"
)


def render_document(text: str, sample: Path) -> str:
    """``text`` with every made part made anew; ``sample`` is a warehouse of the sample pages."""
    section = ""

    def render_part(match: re.Match[str]) -> str:
        nonlocal section
        section = match["title"] or section
        if match["query"] is not None:
            answer = run_shown(["sql", match["query"], "--warehouse", str(sample)], ROOT)
            return f"```sql\n{match['query']}```\n\n```text\n{answer}\n```\n"
        if match["language"] == "console" and any(shown for _, shown in read_commands(match["body"])):
            with tempfile.TemporaryDirectory() as folder:
                return indent(run_block(match, section, Path(folder), sample), match["indent"])
        return match[0]

    text = PART.sub(render_part, text)
    if DICTIONARY.search(text):
        with open_database(Layout(sample)) as connection:
            dictionary = render_dictionary(connection)
        text = DICTIONARY.sub(lambda _: f"\n{dictionary}\n", text)
    return text


def run_block(match: re.Match[str], section: str, folder: Path, sample: Path) -> str:
    """A block of ``console`` with what its commands print in the folder of the section's scene."""
    lines = []
    body = dedent(match["body"], match["indent"])
    with scenes.prepare(section, body, folder, sample) as replaced:
        for command, shown in read_commands(body):
            name, *arguments = shlex.split(scenes.MADE.get(command, command), comments=True)
            lines.append(f"$ {command}")
            if name == "spack-warehouse":
                for old, new in replaced.items():
                    arguments = [one.replace(old, new) for one in arguments]
                made = run_shown(arguments, folder).split("\n")
                lines += keep_unchanged(shown, made) if shown else []
    return "\n".join(["```console", *lines, "```"])


def read_commands(body: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, and the lines that it prints there."""
    for part in re.split(r"^ *\$ ", body, flags=re.MULTILINE)[1:]:
        command, *lines = part.strip("\n").split("\n")
        yield command, lines


def run_shown(arguments: list[str], folder: Path) -> str:
    """What a terminal shows of a command: its data, then its messages."""
    environment = {"SPACK_WAREHOUSE_WEBHOOK": None, "XDG_CACHE_HOME": str(folder / "cache")}
    done = commands.run(*arguments, cwd=folder, **environment)
    if done.returncode not in SHOWN:
        raise ValueError(f"{shlex.join(arguments)}: exit status {done.returncode}: {done.stderr}")
    return "\n".join(part.strip("\n") for part in (done.stdout, done.stderr) if part.strip("\n"))


def keep_unchanged(shown: list[str], made: list[str]) -> list[str]:
    """The lines that a command prints; as they are shown where they differ in times and the like alone."""
    kept = list(made)
    for old, new, size in SequenceMatcher(None, [*map(mask, shown)], [*map(mask, made)]).get_matching_blocks():
        kept[new : new + size] = shown[old : old + size]
    return kept


def mask(line: str) -> str:
    return CHANGING.sub("…", line)


def indent(text: str, spaces: str) -> str:
    return "\n".join(spaces + line if line else line for line in text.split("\n"))


def dedent(text: str, spaces: str) -> str:
    return "\n".join(line.removeprefix(spaces) for line in text.split("\n"))


def render_dictionary(connection: duckdb.DuckDBPyConnection) -> str:
    """Every table, view and macro with its columns, whose types the warehouse has."""
    sections = {
        "### Tables": (*TABLES, STORED_SPECS, *COMPUTED_TABLES),
        "### Views": describe_views(),
        "### Table macros: views with parameters": describe_macros(),
        "### Tables of Spack's rules, and of a site's": DERIVED_TABLES,
    }
    parts = []
    for title, relations in sections.items():
        parts += [title, *(render_relation(relation, read_types(connection, relation)) for relation in relations)]
    return "\n\n".join(parts) + "\n"


def read_types(connection: duckdb.DuckDBPyConnection, relation: Relation) -> dict[str, str]:
    call = f"({', '.join('null' for _ in relation.parameters)})" if relation.parameters else ""
    return dict(list_columns(connection, relation.name + call))


def render_relation(relation: Relation, types: dict[str, str]) -> str:
    rows = [render_column(column, types[column.name]) for column in relation.columns]
    if relation.wide:
        rows.append(f"| *each {relation.wide}* | BIGINT | {describe_wide(relation.wide, f'*{relation.wide}*')} |")
    name = f"#### `{relation.name}`"
    if relation.parameters:
        name = f"#### `{relation.name}({', '.join(map(spell_parameter, relation.parameters))})`"
        rows += [render_parameter(parameter) for parameter in relation.parameters]
    head = ["| column | type | what |", "| --- | --- | --- |"]
    return "\n".join([name, relation.description, "", *head, *rows])


def render_column(column: Column, kind: str) -> str:
    kind += ", may be NULL" if column.nullable else ""
    return f"| `{column.name}` | {escape(kind)} | {escape(column.description)} |"


def spell_parameter(parameter: Column) -> str:
    return f"{parameter.name} := null" if parameter.nullable else parameter.name


def render_parameter(parameter: Column) -> str:
    kind = f"{parameter.type}, may be left out" if parameter.nullable else parameter.type
    return f"| parameter `{parameter.name}` | {escape(kind)} | {escape(parameter.description)} |"


def escape(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Path(folder, "warehouse")
        run_shown(["build", PAGES, "--warehouse", str(warehouse)], ROOT)
        for document in DOCUMENTS:
            document.write_text(render_document(document.read_text(), warehouse))


if __name__ == "__main__":
    main()
