"""What came and left between each snapshot and its previous complete one: the table ``changes``."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import duckdb

from pipeline.schema import CHANGES
from pipeline.store.database import quote_text, transaction
from pipeline.store.sqlfiles import list_stored


def renew_changes(
    connection: duckdb.DuckDBPyConnection, affected: Collection[str] = (), known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Compare each snapshot with its previous complete one, where that is not done yet; the views have to be there.

    ``known`` is what the last build returned: by snapshot, a digest of what its comparison rests on beside the rows
    of the two snapshots. Rows of its comparisons stay if neither snapshot is ``affected``.
    """
    pairs = connection.execute("select snapshot, previous from previous_snapshots order by snapshot").fetchall()
    # A file of no known snapshot that cannot be read may be the page of any.
    files = connection.execute("select path, package from rejects where snapshot is null order by all").fetchall()
    unread = hashlib.sha256(repr(files).encode()).hexdigest()
    compared = {after: _digest_evidence(connection, before, after, unread) for after, before in pairs}
    kept = {
        after
        for after, before in pairs
        if (known or {}).get(after) == compared[after] and not {before, after}.intersection(affected)
    }
    with transaction(connection):
        held = connection.execute(f"select distinct to_snapshot from {CHANGES.name}").fetchall()
        for (after,) in held:
            if after not in kept:
                connection.execute(f"delete from {CHANGES.name} where to_snapshot = ?", [after])
        for after, before in pairs:
            if after not in kept:
                arguments = {"from_snapshot": quote_text(before), "to_snapshot": quote_text(after)}
                rows = list_stored()[CHANGES.name].render(arguments=arguments)
                connection.execute(f"insert into {CHANGES.name} by name {rows}")
    return compared


def _digest_evidence(connection: duckdb.DuckDBPyConnection, before: str, after: str, unread: str) -> str:
    """A digest of what else says whether something is lost: the states of sources, and what is ``unread``."""
    sources = connection.execute(
        "select source, kind, snapshot, stack, state from sources where snapshot in (?, ?) order by all",
        [before, after],
    ).fetchall()
    return hashlib.sha256(repr((before, after, sources, unread)).encode()).hexdigest()
