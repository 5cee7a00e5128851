"""What the shell offers for a word that is being typed: the snapshots, stacks and packages of the warehouse.

A question to a warehouse that is not there, damaged or busy offers nothing: no error is ever in the middle of a line.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

WORDS = ("latest", "previous")
"""Of snapshots: see :func:`pipeline.ask.scope.find_snapshot`."""
MOST = 1000
QUERIES = {
    "snapshots": "select snapshot from snapshots order by sort_position desc",
    "stacks": "select distinct unnest(stacks) as stack from specs order by stack",
    "packages": "select distinct package from specs order by package",
}


def complete_snapshots(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    return _offer(typed, [*_list_names(ctx, "snapshots"), *WORDS])


def complete_stacks(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    return _offer(typed, _list_names(ctx, "stacks"))


def complete_packages(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    return _offer(typed, _list_names(ctx, "packages"))


def complete_places(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    """Snapshots, and once one is followed by a slash its stacks."""
    snapshot, slash, _ = typed.rpartition("/")
    if not slash:
        return complete_snapshots(ctx, option, typed)
    return _offer(typed, [f"{snapshot}/{stack}" for stack in (*_list_names(ctx, "stacks"), "root")])


def _offer(typed: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(typed)][:MOST]


def _list_names(ctx: click.Context, what: str) -> list[str]:
    # Whatever goes wrong, from a missing folder to memory, the command itself reports once it runs.
    try:
        from pipeline.layout import Layout
        from pipeline.store.database import open_database

        with open_database(Layout(_find_warehouse(ctx))) as connection:
            return [name for (name,) in connection.execute(QUERIES[what]).fetchall()]
    except Exception:
        return []


def _find_warehouse(ctx: click.Context) -> Path:
    """The warehouse of the command, or else that before it: no command has run that could pass it on."""
    own = ctx.get_parameter_source("warehouse") == click.core.ParameterSource.COMMANDLINE
    before = ctx.parent.params.get("warehouse") if ctx.parent and not own else None
    return Path(before or ctx.params["warehouse"])
