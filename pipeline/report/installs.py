"""What of a snapshot installs without building, and what is missing for the rest, as its page and summary show it."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.report.shared import Shared


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


def find_installs(shared: Shared, snapshot: str, most: int) -> Installs | None:
    """What of a snapshot installs, with the first ``most`` rows of each list; None where no source says, as pages."""
    connection = shared.connection
    (known, installable) = connection.execute(
        "select count(installable), count(case when installable then 1 end) from specs where snapshot = ?", [snapshot]
    ).fetchall()[0]
    if not known:
        return None
    stacks = connection.execute(
        f"""
        select stack, installable_known, installable
        from {shared.rows_of("summary_by_stack", snapshot)} where installable < installable_known
        order by installable_known - installable desc, stack
        """
    ).fetchall()
    missing = connection.execute(
        f"""
        select missing_package, missing_hash, reason, specs, stacks
        from {shared.rows_of("summary_by_missing", snapshot)}
        order by specs desc, missing_package, missing_hash
        """
    ).fetchall()
    return Installs(known, installable, stacks[:most], len(stacks), missing[:most], len(missing))
