"""What a run found, as Markdown: for the summary of a workflow's step and for a mail.

First how it ended, a row for each step, then what falls short, then the summary of the snapshot that was
judged. As in :mod:`pipeline.report.summary`, nothing from the data is markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.ask.gates import SHORTFALL_COLUMNS
from pipeline.ask.scope import list_snapshots
from pipeline.errors import NoWarehouseError
from pipeline.layout import Layout
from pipeline.report.summary import escape, make_table, write_summary
from pipeline.store.database import open_database

SHOWN = 50
"""So many rows of what falls short are told; their number always is."""


@dataclass(frozen=True)
class Found:
    """What a run found: ``steps`` are (status, message) by step, ``shortfalls`` rows of the gates' columns.

    ``failures`` are (step, reason); ``snapshot`` is the one that was judged, if any.
    """

    status: str
    steps: Mapping[str, tuple[str, str]]
    failures: Sequence[tuple[str, str]]
    shortfalls: Sequence[tuple[object, ...]]
    snapshot: str | None


def summarise_run(found: Found, layout: Layout) -> str:
    """A run's summary; without a warehouse, or without the snapshot in it, no snapshot's summary follows."""
    lines = [f"# Spack Warehouse: {escape(found.snapshot or 'no snapshot')}: {escape(found.status)}", ""]
    steps = [(step, status, message) for step, (status, message) in found.steps.items()]
    lines += [*make_table(("step", "status", ""), steps), ""]
    if found.failures:
        lines += ["## What could not be done", ""]
        lines += [*make_table(("step", "reason"), found.failures[:SHOWN]), *_tell_more(len(found.failures)), ""]
    if found.shortfalls:
        names = [name for name, _ in SHORTFALL_COLUMNS]
        lines += ["## What falls short", ""]
        lines += [*make_table(names, found.shortfalls[:SHOWN]), *_tell_more(len(found.shortfalls)), ""]
    return "\n".join(lines) + _summarise_snapshot(found.snapshot, layout)


def _tell_more(count: int) -> list[str]:
    return ["", f"The first {SHOWN:,} of {count:,}."] if count > SHOWN else []


def _summarise_snapshot(snapshot: str | None, layout: Layout) -> str:
    if snapshot is None:
        return ""
    try:
        with open_database(layout) as connection:
            held = [one.name for one in list_snapshots(connection)]
            return "\n" + write_summary(connection, snapshot) if snapshot in held else ""
    except NoWarehouseError:
        return ""
