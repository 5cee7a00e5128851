"""What of a snapshot installs without building, and what is missing for the rest, as its page and summary show it."""

from __future__ import annotations

from typing import NamedTuple

import duckdb


class Installs(NamedTuple):
    """``known`` counts the specs of which it is known, and ``installable`` those of them that install without building.

    ``stacks`` are those that hold others: (stack, known, installable), the one with the most of them first. ``missing``
    are the parts that others lack: (package, hash, reason, specs that lack it, stacks that hold these), the one that
    the most lack first. Each has its first rows; ``broken_stacks`` and ``missing_parts`` say how many there are.
    """

    known: int
    installable: int
    stacks: list[tuple[str, int, int]]
    broken_stacks: int
    missing: list[tuple[str, str, str, int, list[str]]]
    missing_parts: int


def find_installs(connection: duckdb.DuckDBPyConnection, snapshot: str, most: int) -> Installs | None:
    """What of a snapshot installs, with the first ``most`` rows of each list; None where no source says, as pages."""
    (known, installable) = connection.execute(
        "select count(installable), count(case when installable then 1 end) from specs where snapshot = ?", [snapshot]
    ).fetchall()[0]
    if not known:
        return None
    stacks = connection.execute(
        """
        select stack, installable_known, installable
        from summary_by_stack where snapshot = ? and installable < installable_known
        order by installable_known - installable desc, stack
        """,
        [snapshot],
    ).fetchall()
    missing = connection.execute(
        """
        select missing_package, missing_hash, reason, specs, stacks
        from summary_by_missing where snapshot = ?
        order by specs desc, missing_package, missing_hash
        """,
        [snapshot],
    ).fetchall()
    return Installs(known, installable, stacks[:most], len(stacks), missing[:most], len(missing))
