"""Commands that take a word such as ``-7d`` for a snapshot, which looks like an option."""

from __future__ import annotations

import re

import click
from click.shell_completion import CompletionItem

TYPED = re.compile(r"-([0-9]{1,5})?")
"""What is typed of such a word before its end."""


class DaysCommand(click.Command):
    """One that takes such words as values of options, and offers them beside the options."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        offered = super().shell_complete(ctx, incomplete)
        if days := TYPED.fullmatch(incomplete):
            offered.insert(0, CompletionItem(f"-{days[1] or 7}d"))
        return offered


class DiffCommand(DaysCommand):
    """One that takes them as arguments, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from pipeline.ask.scope import DAYS_BEFORE

        # A blank before it hides the dash; the command takes it off.
        days = re.compile(rf"{DAYS_BEFORE.pattern}(/.*)?", re.DOTALL)
        return super().parse_args(ctx, [f" {one}" if days.fullmatch(one) else one for one in args])
