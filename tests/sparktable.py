"""The table in docs/scale.md of what each query takes on Spark.

``python -m tests.sparktable`` writes it anew, from what the last ``make test-spark`` measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / ".venv/spark.xml"
DOCUMENT = ROOT / "docs/scale.md"
TABLE = re.compile(r"(?<=<!-- spark -->\n).*?(?=<!-- end of spark -->)", re.DOTALL)
GROUPS = {"check": "all checks", "warehouse": "of a built warehouse"}
"""What stands for the questions whose names begin so."""


def read_measured(path: Path) -> Iterator[tuple[str, int, float]]:
    """Each question that Spark answered: its name, its rows and its seconds."""
    for case in ElementTree.parse(path).iter("testcase"):
        found = {one.get("name"): one.get("value", "") for one in case.iter("property")}
        if found:
            yield found["question"], int(found["rows"]), float(found["seconds"])


def render_table(path: Path) -> str:
    """A row for each view and macro, calls of one macro together."""
    summed: dict[str, list[tuple[int, float]]] = {}
    for question, rows, seconds in read_measured(path):
        name = re.split(r"\W", question)[0]
        summed.setdefault(name, []).append((rows, seconds))
    lines = ["| view, macro or check | asked | rows | seconds |", "| --- | ---: | ---: | ---: |"]
    for name, found in summed.items():
        rows, seconds = sum(one[0] for one in found), sum(one[1] for one in found)
        lines.append(f"| {GROUPS.get(name, f'`{name}`')} | {len(found)} | {rows:,} | {seconds:.1f} |")
    return "\n".join(["", *lines, "", ""])


if __name__ == "__main__":
    DOCUMENT.write_text(TABLE.sub(lambda _: render_table(MEASURED), DOCUMENT.read_text()))
