"""``catalog.duckdb``: views and macros alone, over the published Parquet at its address.

DuckDB binds a view when it is made, and would fetch the files: while the catalogue is written, a file system of this
process answers for the address with the files that are about to be there, so that nothing is fetched.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import duckdb
from fsspec import AbstractFileSystem

from pipeline.catalog.promise import list_tables
from pipeline.catalog.tables import PARTED, TableFile, TableFiles, address_of
from pipeline.schema import Relation
from pipeline.store.database import (
    STORAGE_VERSION,
    comment,
    create_macro,
    quote_name,
    quote_text,
    render,
    transaction,
)
from pipeline.store.sqlfiles import describe_macros, describe_views, list_macros, list_views


class PublishedFiles(AbstractFileSystem):  # type: ignore[misc]
    """The files that will be at ``base_url``, as they lie on this disk: ``find`` gives the place of each path."""

    cachable = False

    def __init__(self, base_url: str, find: Mapping[str, Path]) -> None:
        super().__init__()
        self.protocol = urlsplit(base_url).scheme
        self._base, self._find = f"{base_url.rstrip('/')}/", find

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        # DuckDB asks by the whole address, and is to hear the same.
        return path

    def _place(self, address: str) -> Path:
        return self._find[unquote(address.removeprefix(self._base))]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._place(path).stat().st_size, "type": "file"}

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def modified(self, path: str) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._place(path).stat().st_mtime, dt.UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
        return self._place(path).open("rb")


def write_catalog(
    warehouse: duckdb.DuckDBPyConnection, path: Path, base_url: str, files: TableFiles, find: Mapping[str, Path]
) -> None:
    """Write the catalogue of the published ``files`` to ``path``.

    ``warehouse`` is a connection to what they were made of; ``find`` gives the place of each file until it is
    published. Any DuckDB since 1.2 that has httpfs attaches the catalogue by its address.
    """
    with open_catalog(path, PublishedFiles(base_url, find)) as catalog, transaction(catalog):
        for name, table in list_tables().items():
            catalog.execute(f"create view {name} as {select_files(table, files[name], base_url)}")
            comment(catalog, "view", table)
        for view in list_views():
            if view.name not in files:
                # The columns of matrices come from the data: they are asked for where they need no network.
                catalog.execute(render(warehouse, view))
        for described in describe_views():
            if described.name not in files:
                # Those of a matrix's values are named by them, and would be the most of the file.
                comment(catalog, "view", described)
        for macro in list_macros():
            create_macro(catalog, macro)
        for described in describe_macros():
            catalog.execute(f"comment on macro table {described.name} is {quote_text(described.description)}")


@contextlib.contextmanager
def open_catalog(path: Path, files: PublishedFiles) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that writes a catalogue, for which ``files`` answer."""
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        try:
            # Blocks of the least size: every reader fetches the whole catalogue.
            options = f"storage_version '{STORAGE_VERSION}', block_size 16384"
            connection.execute(f"attach {quote_text(str(path))} as catalog ({options})")
            connection.execute("use catalog")
            yield connection
            connection.execute("checkpoint catalog")
            connection.execute("use memory")
            connection.execute("detach catalog")
        finally:
            connection.unregister_filesystem(files.protocol)


def select_files(table: Relation, files: Sequence[TableFile], base_url: str) -> str:
    """The SQL that reads a table's files; of those in a snapshot's folder only what the question is about is opened.

    Columns are named with their table: DuckDB would take one for a macro's parameter of that name.
    """
    column = PARTED.get(table.name)
    within = [address_of(base_url, one.path) for one in files if one.plain]
    others = [address_of(base_url, one.path) for one in files if not one.plain]
    parts = []
    if within:
        columns = ", ".join(
            f"rows.part as {column}" if name == column else f"rows.{quote_name(name)}" for name in table.names
        )
        options = "hive_partitioning = true, hive_types = {'part': varchar}"
        parts.append(f"select {columns} from read_parquet({_list(within)}, {options}) as rows")
    if others:
        columns = ", ".join(f"rows.{quote_name(name)}" for name in table.names)
        parts.append(f"select {columns} from read_parquet({_list(others)}, hive_partitioning = false) as rows")
    return " union all ".join(parts)


def _list(addresses: Sequence[str]) -> str:
    return f"[{', '.join(map(quote_text, addresses))}]"
