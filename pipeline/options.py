"""Options that several commands have, and what they have in common when they answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from pipeline.errors import WarehouseError, suggest
from pipeline.io.streams import say
from pipeline.io.urls import SITE_ADDRESS
from pipeline.terminal.complete import complete_hosts, complete_libcs, complete_stacks, complete_systems

if TYPE_CHECKING:
    from pipeline.ask.machine import Machine

SOMETHING_FAILS = 3
T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., object])

warehouse_option = click.option(
    "--warehouse",
    "warehouse",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("warehouse"),
    metavar="DIR",
    help="Folder of the warehouse.  [env: SPACK_WAREHOUSE; default: warehouse]",
)


def jobs_option(what: str) -> Callable[[Command], Command]:
    """The option ``--jobs``, of which ``what`` says what the processes do."""
    return click.option(
        "--jobs", type=click.IntRange(1), metavar="N", help=f"Processes that {what}; by default one a processor."
    )


def today_option(what: str) -> Callable[[Command], Command]:
    """The option ``--today``, of which ``what`` says what the day is for."""
    return click.option(
        "--today",
        type=click.DateTime(["%Y-%m-%d"]),
        metavar="DATE",
        help=f"{what}, YYYY-MM-DD.  [default: this day, UTC]",
    )


def check_address(ctx: click.Context, option: click.Parameter, url: str | None) -> str | None:
    if url is not None and not re.fullmatch(SITE_ADDRESS, url):
        raise click.BadParameter(f"{url!r} is not an https:// or http:// address")
    return url


def publication_options(command: Command) -> Command:
    """The options of what is published of a warehouse's data: as :class:`pipeline.catalog.publish.Wish` has them."""
    options = (
        click.option(
            "--base-url",
            metavar="URL",
            callback=check_address,
            help="Where it will be: pages and the catalogue give addresses there.",
        ),
        click.option(
            "--wasm",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            metavar="DIR",
            help="Folder in which npm installed DuckDB-Wasm: the page to ask in SQL is written too.",
        ),
        click.option(
            "--history",
            type=click.IntRange(1),
            metavar="N",
            help="Databases for that page of the N newest snapshots alone.  [default: of all]",
        ),
        click.option(
            "--licence", metavar="NAME", help="Licence of the data as their source states it: an SPDX name or a URL."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def find_day(today: datetime | None) -> date:
    """The day of the option ``--today``."""
    return today.date() if today else datetime.now(UTC).date()


stack_option = click.option(
    "--stack",
    "stacks",
    multiple=True,
    metavar="S",
    shell_complete=complete_stacks,
    help="Only this stack, or those of a glob; may be repeated.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(0), metavar="N", help="Rows to print; 0: all.  [default: 20 in a table, else all]"
)


def check_spack(ctx: click.Context, option: click.Parameter, spack: str | None) -> str | None:
    from pipeline.spack.readers import parse_series

    try:
        if spack is not None:
            parse_series(spack)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return spack


spack_option = click.option(
    "--spack", metavar="VERSION", callback=check_spack, help="Only what this Spack can read, such as 0.22."
)
TABLE_ROWS = 20


def machine_options(command: Command) -> Command:
    """The options that :func:`choose_machine` takes."""
    options = (
        click.option(
            "--here", is_flag=True, help="Only what this machine can run; the next three options replace its parts."
        ),
        click.option(
            "--host",
            metavar="TARGET",
            shell_complete=complete_hosts,
            help="Only what a machine of this microarchitecture can run, such as zen4.",
        ),
        click.option(
            "--host-os",
            metavar="OS",
            shell_complete=complete_systems,
            help="Only what is built for this system, or an older release of macOS.",
        ),
        click.option(
            "--host-libc",
            metavar="LIBC",
            shell_complete=complete_libcs,
            help="Only what this C library will do for: 2.35, glibc@2.35, musl@1.2.4.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def choose_machine(
    platform: str | None, here: bool, host: str | None, host_os: str | None, host_libc: str | None
) -> Machine | None:
    """The machine that the options of ``have`` describe; None where they ask for none."""
    from pipeline.ask.machine import Machine, detect_machine, guess_host
    from pipeline.spack.systems import parse_libc

    if not (here or host or host_os or host_libc):
        return None
    machine = detect_machine() if here else guess_host(check_host(host), platform) if host else Machine()
    if here and host:
        machine = machine._replace(target=check_host(host))
    if host_os:
        machine = machine._replace(os=host_os)
    if host_libc:
        try:
            machine = machine._replace(libc=parse_libc(host_libc))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--host-libc") from None
    return machine


def check_host(target: str) -> str:
    """``target``, which archspec must know: of no other can be said what it runs."""
    from pipeline.spack.hosts import is_known, list_targets

    if not is_known(target):
        raise click.BadParameter(
            f"{target!r} is no microarchitecture that archspec knows; {suggest(target, list_targets())}",
            param_hint="--host",
        )
    return target


def cut_rows(rows: Sequence[T], limit: int | None, format: str) -> Sequence[T]:
    """The rows to print; that there are more is said on stderr."""
    most = limit if limit is not None else TABLE_ROWS if format == "table" else 0
    if most and len(rows) > most:
        say(f"the first {most:,} of {len(rows):,} rows; all: --limit 0")
        return rows[:most]
    return rows


def refuse_missing(config: Path, example: str, option: str = "--config") -> None:
    """Say of a file of the user's that is not there, and that ``option`` names, what it would be."""
    if not config.exists():
        raise WarehouseError(f"{config}: no such file; name one with {option}: {example} is one to begin with")
