"""The SQL files of ``sql/``: every view in the order it is made, and the checks."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def sql_folder() -> Path:
    """``sql/`` beside the package in a checkout, inside it in an installed wheel."""
    inside = Path(__file__).parent / "sql"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "sql"


def view_files() -> list[Path]:
    """The files that each make one view, in order."""
    return sorted(sql_folder().glob("*.sql"))


def macro_files() -> list[Path]:
    """The files that each make one table macro: a view with parameters."""
    return sorted((sql_folder() / "macros").glob("*.sql"))


def check_files() -> list[Path]:
    """The files that each hold one check: a query that returns the offenders."""
    return sorted((sql_folder() / "checks").glob("*.sql"))


def all_files() -> list[Path]:
    return [*view_files(), *macro_files(), *check_files()]
