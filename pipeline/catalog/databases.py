"""Databases of one snapshot, or of two neighbours, for a page that has them in the memory of a browser.

Each has the tables, views and macros of the whole warehouse, and of its rows those of its snapshots: what a view says
of a snapshot it says there too, unless it looks at others.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipeline.catalog.folder import Publication
from pipeline.catalog.tables import PLAIN, PartInputs
from pipeline.io.progress import Progress
from pipeline.report.folder import QUERY
from pipeline.schema import CHANGES, REJECTS, SNAPSHOT_TABLES, SOURCES, TAGS_TABLE
from pipeline.store.database import attach_database, create_tables, create_views, quote_text, transaction

EXTRACTED = (*SNAPSHOT_TABLES, REJECTS, SOURCES, TAGS_TABLE)
"""Tables whose rows are of a snapshot, or of none."""


def list_sets(connection: duckdb.DuckDBPyConnection, snapshots: Sequence[str], history: int | None) -> list[list[str]]:
    """The snapshots of each database: each of the newest ``history`` alone, and with its previous one."""
    chosen = list(snapshots) if history is None else list(snapshots)[max(len(snapshots) - history, 0) :]
    query = "select snapshot, previous from previous_snapshots where previous is not null"
    previous = dict(connection.execute(query).fetchall())
    pairs = [[previous[name], name] for name in chosen if previous.get(name) in chosen]
    return [[name] for name in chosen] + pairs


def write_databases(
    connection: duckdb.DuckDBPyConnection,
    sets: Sequence[Sequence[str]],
    inputs: PartInputs,
    publication: Publication,
    progress: Progress,
) -> list[tuple[Sequence[str], str]]:
    """Publish the database of each set of snapshots, as gzip packs it; returns their snapshots and paths."""
    ((origin,),) = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    progress.stage("writing databases", len(sets), "database")
    written = []
    for snapshots in sets:
        key = f"database/{'/'.join(snapshots)}"
        known = inputs.digest(*snapshots)
        if not publication.keep_part(key, known):
            database, packed = publication.scratch(), publication.scratch()
            extract_snapshots(Path(origin), database, snapshots)
            # Without name and time: the same database, the same bytes.
            with (
                database.open("rb") as source,
                packed.open("wb") as target,
                gzip.GzipFile("", "wb", 6, target, mtime=0) as file,
            ):
                shutil.copyfileobj(source, file)
            database.unlink()
            plain = all(PLAIN.fullmatch(name) for name in snapshots)
            name = f"{'_'.join(snapshots)[:200]}." if plain else ""
            publication.add_part(key, known, f"{QUERY}/databases/{name}{{digest}}.duckdb.gz", packed)
        written.append((snapshots, publication.parts[key].path))
        progress.advance(1)
    return written


def extract_snapshots(origin: Path, path: Path, snapshots: Sequence[str]) -> None:
    """Write a warehouse's rows of some snapshots as a database of their own."""
    listed = ", ".join(map(quote_text, snapshots))
    with attach_database(path) as connection:
        connection.execute(f"attach {quote_text(str(origin))} as origin (read_only)")
        with transaction(connection):
            create_tables(connection)
            for table in EXTRACTED:
                connection.execute(
                    f"insert into {table.name} select * from origin.{table.name} "
                    f"where snapshot is null or snapshot in ({listed})"
                )
            connection.execute(
                f"insert into {CHANGES.name} select * from origin.{CHANGES.name} "
                f"where from_snapshot in ({listed}) and to_snapshot in ({listed})"
            )
        create_views(connection)
        connection.execute("detach origin")
