"""The parts of the README that are made: answers to its questions, and the data dictionary.

``python -m tests.readme`` (``make readme``) writes them anew; a test fails while they are old.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

import duckdb

from pipeline.layout import Layout
from pipeline.schema import COMPUTED_TABLES, DERIVED_TABLES, STORED_SPECS, TABLES, Column, Relation, describe_wide
from pipeline.store.database import list_columns, open_database
from pipeline.store.sqlfiles import describe_macros, describe_views
from tests import commands

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = "tests/data/pages"
CACHE = "tests/data/caches/spack-1.1"
OF_CACHE = " --warehouse caches"
"""How a command of the README says that it asks of the warehouse of that build cache, and not of the pages."""

SHOWN = (0, 2, 3)
"""Exit statuses of commands that the README shows: done, wrong usage, something falls short."""

# An SQL block and the answer below it; the query runs as it stands.
ANSWER = re.compile(r"```sql\n(?P<query>.*?)```\n\n```text\n(?P<answer>.*?)```\n", re.DOTALL)
# A command that asks and the answer below it: all that a terminal shows of it.
COMMAND = re.compile(
    r"```console\n\$ spack-warehouse (?P<command>(?:have|diff|gaps|gate)\b.*)\n(?P<answer>(?s:.*?))```\n"
)
# The steps of a configuration whose paths are those of no machine.
STEPS = re.compile(r"```console\n\$ spack-warehouse (?P<command>run .* --dry-run)\n(?:(?!```).*\n)*```\n")
DICTIONARY = re.compile(r"(?<=<!-- dictionary -->\n)(?P<dictionary>.*?)(?=<!-- end of dictionary -->)", re.DOTALL)


def run(*arguments: str) -> str:
    """What a command of the project prints to stdout, from the root of the repository."""
    done = commands.run(*arguments, cwd=ROOT)
    if done.returncode:
        raise ValueError(f"{shlex.join(arguments)}: exit status {done.returncode}: {done.stderr}")
    return done.stdout


def show(command: str, warehouse: Path) -> str:
    """What a terminal shows of a command, from the root of the repository: its data, then its messages."""
    with tempfile.TemporaryDirectory() as folder:
        if command.endswith(OF_CACHE):
            warehouse = Path(folder, "warehouse")
            run("build", CACHE, "--warehouse", str(warehouse))
        done = commands.run(*shlex.split(command.removesuffix(OF_CACHE)), "--warehouse", warehouse, cwd=ROOT)
    if done.returncode not in SHOWN:
        raise ValueError(f"{command}: exit status {done.returncode}: {done.stderr}")
    return "\n".join(part.strip("\n") for part in (done.stdout, done.stderr) if part.strip("\n"))


def render_readme(text: str, warehouse: Path) -> str:
    """``text`` with every made part made anew, from a warehouse of the sample pages."""

    def answer(match: re.Match[str]) -> str:
        made = run("sql", match["query"], "--warehouse", str(warehouse)).strip("\n")
        return f"```sql\n{match['query']}```\n\n```text\n{made}\n```\n"

    def answer_command(match: re.Match[str]) -> str:
        return f"```console\n$ spack-warehouse {match['command']}\n{show(match['command'], warehouse)}\n```\n"

    def answer_steps(match: re.Match[str]) -> str:
        made = run(*shlex.split(match["command"])).strip("\n")
        return f"```console\n$ spack-warehouse {match['command']}\n{made}\n```\n"

    text = STEPS.sub(answer_steps, text)
    text = COMMAND.sub(answer_command, ANSWER.sub(answer, text))
    with open_database(Layout(warehouse)) as connection:
        dictionary = render_dictionary(connection)
    return DICTIONARY.sub(lambda _: f"\n{dictionary}\n", text)


def render_dictionary(connection: duckdb.DuckDBPyConnection) -> str:
    """Every table, view and macro with its columns, whose types the warehouse tells."""
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
        run("build", PAGES, "--warehouse", str(warehouse))
        README.write_text(render_readme(README.read_text(), warehouse))


if __name__ == "__main__":
    main()
