"""Texts as cells of a CSV file that no spreadsheet takes for a formula (pure).

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return for a
formula (OWASP, "CSV injection"), and ``+mpi`` is a variant: such a text gets a leading ``'``, and so does
one that begins with ``'`` itself. A program that takes one leading ``'`` off every text has the exact
value again. NULL is an empty cell; lists are JSON, guarded likewise.
"""

from __future__ import annotations

from pipeline.store.database import quote_name

GUARDED = "=+-@\t\r'"


def guard_text(text: str) -> str:
    """``text`` as a CSV cell that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] and text[0] in GUARDED else text


def guard(name: str, type: str) -> str:
    """The SQL of :func:`guard_text` for a column; lists become JSON, numbers stay."""
    column = quote_name(name)
    if type.endswith("[]"):
        column = f"cast(to_json({column}) as varchar)"
    elif type != "VARCHAR":
        return column
    # chr() writes what an SQL literal cannot hold visibly.
    first = f"{column}[1]"
    guarded = "'=', '+', '-', '@', '''', chr(9), chr(13)"
    return f"case when {first} in ({guarded}) then '''' || {column} else {column} end"
