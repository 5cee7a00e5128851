"""What the shell offers for a word that is being typed: the snapshots, stacks, packages and so on of the warehouse.

A question to a warehouse that is not there, damaged or busy offers nothing: no error is ever in the middle of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import click

WORDS = ("latest", "previous", "-7d")
"""Of snapshots: see :func:`pipeline.ask.scope.find_snapshot`."""
MOST = 1000
NAME = re.compile(r"[A-Za-z0-9_.-]+")
UNSAFE = re.compile(r"[^\w.,:=@%/+~-]")
"""What a shell may take for more than a part of a word: a name that has it is typed, with quotes, by who wants it."""
PLACES = ("target", "os", "platform", "namespace")
"""Keys of a spec's place, whose values complete."""
QUERIES = {
    "snapshots": "select snapshot from snapshots order by sort_position desc",
    "days": "select cast(date as varchar) from snapshots where date is not null order by date desc",
    "stacks": "select distinct unnest(stacks) as stack from specs order by stack",
    "packages": "select distinct package from specs order by package",
    "versions": "select any_value(version) from specs where package = ? group by version_key order by version_key desc",
    "variants": "select distinct unnest(variants) as variant from specs where package = ? order by variant",
    "compiler": "select distinct compiler from specs order by compiler",
    "libc": "select distinct libc from specs where libc is not null order by libc",
    **{name: f"select distinct {name} from specs order by {name}" for name in PLACES},
}


def complete_snapshots(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    """Snapshots and words for them; once a digit is typed also the days of weekly ones."""
    days = _list_names(ctx, "days") if typed[:1].isdigit() else []
    return _offer(typed, [*_list_names(ctx, "snapshots"), *days, *WORDS])


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


def complete_hosts(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    """The microarchitectures that archspec knows: a warehouse need have nothing of one that it can answer for."""
    from pipeline.spack.hosts import list_targets

    return _offer(typed, list_targets())


def complete_systems(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    return _offer(typed, _list_names(ctx, "os"))


def complete_libcs(ctx: click.Context, option: click.Parameter, typed: str) -> list[str]:
    return _offer(typed, _list_names(ctx, "libc"))


def complete_specs(ctx: click.Context, argument: click.Parameter, typed: str) -> list[str]:
    """What a spec goes on with: ``hdf5``, ``hdf5@1.14``, ``%gcc``, ``%gcc@12``, ``target=zen4``, ``+mpi``.

    Versions and variants are those of the package: of the same word, or of the first.
    """
    before = ctx.params.get(argument.name or "") or ()
    named = NAME.match(before[0] if before else typed)
    package = named[0].rpartition(".")[2] if named else ""
    head, percent, compiler = typed.rpartition("%")
    if percent:
        compilers = _list_names(ctx, "compiler")
        names = compilers if "@" in compiler else dict.fromkeys(name.partition("@")[0] for name in compilers)
        return _offer(typed, [f"{head}%{name}" for name in names])
    key, equals, _ = typed.partition("=")
    if equals:
        return _offer(typed, [f"{key}={name}" for name in _list_names(ctx, key)] if key in PLACES else [])
    name, at, _ = typed.partition("@")
    if at:
        return _offer(typed, [f"{name}@{version}" for version in _list_names(ctx, "versions", package)])
    if typed[:1] in ("+", "~"):
        names = sorted({text[1:] for text in _list_names(ctx, "variants", package) if text[:1] in ("+", "~")})
        return _offer(typed, [f"{typed[0]}{name}" for name in names])
    return _offer(typed, [] if before else _list_names(ctx, "packages"))


def _offer(typed: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(typed) and not UNSAFE.search(name)][:MOST]


def _list_names(ctx: click.Context, what: str, *given: str) -> list[str]:
    # Whatever goes wrong, from a missing folder to memory, the command itself reports once it runs.
    try:
        from pipeline.layout import Layout
        from pipeline.store.database import open_database

        with open_database(Layout(_find_warehouse(ctx))) as connection:
            return [name for (name,) in connection.execute(QUERIES[what], given).fetchall() if name]
    except Exception:
        return []


def _find_warehouse(ctx: click.Context) -> Path:
    """The warehouse of the command, or else that before it: no command has run that could pass it on."""
    own = ctx.get_parameter_source("warehouse") == click.core.ParameterSource.COMMANDLINE
    before = ctx.parent.params.get("warehouse") if ctx.parent and not own else None
    return Path(before or ctx.params["warehouse"])
