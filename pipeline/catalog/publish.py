"""Publish a warehouse's data: what is made of what, and in which order.

::

    data/TABLE/part=SNAPSHOT/DIGEST.parquet   the rows of a table, see pipeline.catalog.tables
    data/warehouse.duckdb                     all of them, with views and macros
    data/datapackage.json  croissant.json     what they are, file by file and column by column
    data/schemas/vN/                          the same by table, and as SQL, for each version of the schema
    data/index.html  data/LICENSE.txt         a page of them; the licence of the data
    data/manifest.json                        every file that is published, with its bytes and SHA-256
    catalog.duckdb                            views over the files at their address
    api/v1/                                   static JSON
    sql/                                      a page to ask in SQL, where DuckDB-Wasm is given
    releases.json                             a row for each build
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from pipeline.catalog.api import write_api
from pipeline.catalog.console import digest_engine, write_console
from pipeline.catalog.describe import Origin, list_schemas, make_croissant, make_datapackage
from pipeline.catalog.folder import Manifest, Publication, publishing, read_manifest, refuse_others
from pipeline.catalog.listing import WAREHOUSE, render_listing
from pipeline.catalog.promise import Promise, read_promises
from pipeline.catalog.releases import add_release, describe_release
from pipeline.catalog.remote import write_catalog
from pipeline.catalog.tables import PartInputs, TableFiles, write_tables
from pipeline.io.progress import Progress, number_of
from pipeline.io.temporary import plain_path
from pipeline.layout import BuildPaths, Layout
from pipeline.report.folder import CATALOG, DATA, RELEASES, SITE, ReportFolder
from pipeline.report.inputs import digest_warehouse
from pipeline.report.page import show_size
from pipeline.store.database import find_database, open_database
from pipeline.store.state import read_looked_on

LARGE_FILE = 100_000_000
"""Bytes from which a file is more than GitHub takes."""
LARGE_SITE = 1_000_000_000
"""Bytes from which a site is more than GitHub Pages is meant for."""


@dataclass(frozen=True)
class Wish:
    """How data are to be published: at which address, of how many snapshots the newest have a database of their own
    (of all, with None), the folder of DuckDB-Wasm, and the licence that the source states.
    """

    base_url: str | None = None
    history: int | None = None
    wasm: Path | None = None
    licence: str | None = None


@dataclass(frozen=True)
class PublishSummary:
    """What is published: the ``files`` and ``bytes`` of this build, how many were ``written``, ``notes`` on it."""

    files: int
    bytes: int
    written: int
    notes: Sequence[str] = ()

    def describe(self) -> str:
        """It in one line."""
        return f"{number_of(self.files, 'file')} of data, {show_size(self.bytes)}, {self.written:,} written"


def publish_data(layout: Layout, out: Path, wish: Wish, progress: Progress | None = None) -> PublishSummary:
    """Publish the data of a warehouse in the folder ``out``; where they are of the same as before, nothing is done.

    Raises:
        NoWarehouseError: there is no warehouse.
        WarehouseError: what would be replaced was not published here; DuckDB-Wasm is not as it should be.
        OSError: a file cannot be written.
    """
    database = find_database(layout)
    layout.refuse_inside(out)
    progress = progress or Progress()
    has_front = (out / SITE).exists()
    inputs = digest_inputs(layout, wish, has_front)
    with ReportFolder(out).hold(partial(progress.wait, out, "publication")):
        last = read_manifest(out)
        if last is None:
            refuse_others(out)
            last = Manifest()
        if inputs and last.inputs == inputs and last.is_whole(out):
            return summarise(last, 0, wish)
        with open_database(layout) as connection, plain_path(out) as plain, publishing(plain, last) as publication:
            promises = read_promises()
            build = layout.current or BuildPaths(database.parent)
            publication.add_file(WAREHOUSE, database)
            write_data(connection, build, promises, publication, wish, has_front, progress)
            manifest = publication.publish(promises[0].version, inputs)
            return summarise(manifest, publication.written, wish)


def digest_inputs(layout: Layout, wish: Wish, has_front: bool) -> str:
    """A digest of all that is published is made of; empty where the warehouse does not say of what it is."""
    warehouse = digest_warehouse(layout)
    if warehouse is None:
        return ""
    looked_on = str(read_looked_on(layout.current))
    inputs = (warehouse, looked_on, wish.base_url, wish.history, wish.licence, digest_engine(wish.wasm), has_front)
    return hashlib.sha256(repr(inputs).encode()).hexdigest()


def write_data(
    connection: duckdb.DuckDBPyConnection,
    build: BuildPaths,
    promises: Sequence[Promise],
    publication: Publication,
    wish: Wish,
    has_front: bool,
    progress: Progress,
) -> None:
    """Give the publication every file but the manifest, the data of each version of the schema among them.

    ``has_front`` says whether the folder has a front page, to which the page of the data leads back.
    """
    inputs = PartInputs(build)
    snapshots = list_values(connection, "select snapshot from snapshots order by sort_position, snapshot")
    sources = list_values(connection, "select distinct source from sources where source is not null order by source")
    origin = Origin(sources, wish.licence, read_looked_on(build), wish.base_url)
    tables: list[TableFiles] = []
    for promise in promises:
        files = write_tables(connection, promise, snapshots, inputs, publication, progress)
        tables.append(files)
        for path, data in list_schemas(promise):
            publication.add(path, data)
        suffix = "" if promise is promises[0] else f".v{promise.version}"
        publication.add(f"{DATA}/datapackage{suffix}.json", make_datapackage(promise, files, publication.files, origin))
        publication.add(f"{DATA}/croissant{suffix}.json", make_croissant(promise, files, publication.files, origin))
    publication.add(f"{DATA}/LICENSE.txt", f"{origin.describe_licence()}\n".encode())
    if wish.base_url is not None:
        scratch = publication.scratch()
        write_catalog(connection, scratch, wish.base_url, tables[0], publication.find_files())
        publication.add_file(CATALOG, scratch)
    write_api(connection, publication)
    if wish.wasm is not None:
        write_console(connection, wish.wasm, snapshots, wish.history, inputs, publication, progress)
    release = describe_release(promises[0].version, tables[0], publication.files, origin.read_on)
    publication.add(RELEASES, add_release(publication.out, release))
    page = render_listing(promises[0], tables[0], publication.files, origin, wish.wasm is not None, has_front)
    publication.add(f"{DATA}/index.html", page)


def list_values(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """The values of a query of one column."""
    return [value for (value,) in connection.execute(query).fetchall()]


def summarise(manifest: Manifest, written: int, wish: Wish) -> PublishSummary:
    """What a manifest lists, and what its reader should know of it."""
    notes = []
    if wish.base_url is None:
        notes.append("no catalog.duckdb, which needs the address where the data will be: --base-url")
    if wish.wasm is None:
        notes.append("no page to ask in SQL, which needs DuckDB-Wasm: --wasm")
    notes += [
        f"{path}: {show_size(one.bytes)}, more than the {show_size(LARGE_FILE)} that GitHub takes of a file"
        for path, one in manifest.files.items()
        if one.bytes > LARGE_FILE
    ]
    total = sum(one.bytes for one in (*manifest.files.values(), *manifest.previous.values()))
    if total > LARGE_SITE:
        notes.append(f"{show_size(total)} in all, more than the {show_size(LARGE_SITE)} of a site on GitHub Pages")
    return PublishSummary(len(manifest.files), sum(one.bytes for one in manifest.files.values()), written, notes)
