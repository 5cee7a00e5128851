"""The SQL files of ``sql/``: every view in the order it is made, and the checks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_USED = re.compile(r"\b(?:from|join)\s+(\w+)")


@cache
def sql_folder() -> Path:
    """``sql/`` beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


def view_files() -> list[Path]:
    """The files that each make one view, in order."""
    return sorted(sql_folder().glob("*.sql"))


def macro_files() -> list[Path]:
    """The files that each make one table macro: a view with parameters."""
    return sorted((sql_folder() / "macros").glob("*.sql"))


def check_files() -> list[Path]:
    """The files that each hold one check: a query that returns the offenders."""
    return sorted((sql_folder() / "checks").glob("*.sql"))


def find_views(files: Iterable[Path]) -> list[Path]:
    """The files of the views that the queries in ``files`` stand on, directly or by other views, in order."""
    used = {name for file in files for name in find_names(file)}
    found = []
    for file in reversed(view_files()):
        if view_name(file) in used:
            found.append(file)
            used |= find_names(file)
    return found[::-1]


def view_name(file: Path) -> str:
    """The name of the view that a file makes."""
    return file.stem.partition("_")[2]


def find_names(file: Path) -> set[str]:
    """What the query in ``file`` reads: tables, views, and parts of itself."""
    return set(_USED.findall("\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))))


def all_files() -> list[Path]:
    return [*view_files(), *macro_files(), *check_files()]
