"""The parts of the README that are made: answers to its questions, and the data dictionary.

``python -m tests.readme`` (``make readme``) writes them anew; a test fails while they are old.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

from pipeline.dictionary import render_dictionary
from tests import commands

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = "tests/data/pages"

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
    done = commands.run(*shlex.split(command), "--warehouse", warehouse, cwd=ROOT)
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
    return DICTIONARY.sub(lambda _: "\n" + render_dictionary() + "\n", text)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Path(folder, "warehouse")
        run("build", PAGES, "--warehouse", str(warehouse))
        README.write_text(render_readme(README.read_text(), warehouse))


if __name__ == "__main__":
    main()
