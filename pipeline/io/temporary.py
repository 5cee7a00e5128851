"""What is kept in the system's temporary folder: nobody else reads it, and nobody can guess its name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import WarehouseError
from pipeline.io.streams import is_utf8

PREFIX = "spack-warehouse-"
_PATTERNS = frozenset("*?[]{}\\")
"""DuckDB reads these in a path as a pattern, as options or as folders."""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """An empty folder that only this user may enter, and that is removed afterwards.

    Raises:
        FileNotFoundError: there is no folder for temporary files that may be written to.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def spill_folder() -> Iterator[str]:
    """A private folder for what exceeds DuckDB's memory; no name where no temporary folder may be written to."""
    with contextlib.ExitStack() as stack:
        try:
            folder = str(stack.enter_context(private_folder()))
        except OSError:
            folder = ""
        yield folder


@contextlib.contextmanager
def plain_path(path: Path) -> Iterator[Path]:
    """A path of the file or folder ``path`` that DuckDB, Arrow and Polars take for that and nothing else.

    That is its absolute path, or, where they would read a part of that as a pattern or cannot read it at all, a link
    to it in a private folder.

    Raises:
        WarehouseError: the temporary folder has such a path too, or cannot be written to.
    """
    if _is_plain(path.absolute()):
        yield path.absolute()
        return
    with contextlib.ExitStack() as stack:
        try:
            link = stack.enter_context(private_folder()) / "link"
            link.symlink_to(path.absolute())
        except OSError as error:
            reason = error.strerror or str(error)
            raise WarehouseError(
                f"{path}: DuckDB cannot read such a path, and no link to it can be made: {reason}"
            ) from None
        if not _is_plain(link):
            raise WarehouseError(
                f"{path}: DuckDB cannot read such a path, nor that of the temporary folder {link.parent}"
            )
        yield link


@contextlib.contextmanager
def database_path(path: Path) -> Iterator[Path]:
    """The same of a database file, or of the folder that has one.

    DuckDB follows links to the file's real path, and reads what follows a ``?`` in that as options and ``\\`` as ``/``.

    Raises:
        WarehouseError: the real path has such a character.
    """
    real = os.path.realpath(path)
    for character in "?\\":
        if character in real:
            raise WarehouseError(f"{real}: DuckDB opens no file whose path has a {character}; name another folder")
    with plain_path(path) as plain:
        yield plain


def _is_plain(path: Path) -> bool:
    return is_utf8(str(path)) and _PATTERNS.isdisjoint(str(path))
