"""The options that say how an answer is shown: ``--format``, ``--wide``, ``--columns``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])


class Shape(NamedTuple):
    """How an answer is shown: as ``table``, ``csv`` or ``json``; of a table all, ``wide``; ``columns``, if any."""

    format: str = "table"
    wide: bool = False
    columns: tuple[str, ...] = ()

    @property
    def is_laid_out(self) -> bool:
        """Whether it is a table that suits the terminal, which may shorten and leave out."""
        return self.format == "table" and not self.wide and not self.columns


def format_option(*more: str, note: str = "") -> Callable[[Command], Command]:
    """The option ``--format``: table, csv, json, and ``more``, which a ``note`` may explain."""
    return click.option(
        "--format",
        "format",
        type=click.Choice(["table", "csv", "json", *more]),
        default="table",
        show_default=True,
        help=f"What to write to stdout{note}.",
    )


def shape_options(*more: str, note: str = "") -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Give a command ``shape``, a :class:`Shape`, by three options; ``more`` and ``note`` as of ``--format``."""

    def decorate(command: Callable[..., object]) -> Callable[..., object]:
        @format_option(*more, note=note)
        @click.option("--wide", is_flag=True, help="A table with all columns in full, however long its lines get.")
        @click.option(
            "--columns",
            callback=_split_columns,
            metavar="C,C",
            help="Only these columns, in this order and in full; of any format.",
        )
        @functools.wraps(command)
        def with_shape(*, format: str, wide: bool, columns: tuple[str, ...], **given: Any) -> object:
            return command(shape=Shape(format, wide, columns), **given)

        return with_shape

    return decorate


def _split_columns(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(str.strip, (text or "").split(",")))))
