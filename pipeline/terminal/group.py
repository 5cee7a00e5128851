"""Commands whose failures are one line on stderr, and which end by a signal as they should."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from pipeline.errors import FileFaultsError, NoQueryError, SpecSyntaxError, WarehouseError, explain_refusal
from pipeline.io.streams import drop_unwritten, say, say_some, show_lines

QUERY_INTERRUPTED = "Query interrupted"
"""What DuckDB makes of a signal in the middle of a query, as a RuntimeError."""
SOON = 0.01
"""Seconds until a signal comes once more that was lost."""


class OneLine(click.Group):
    """Commands whose failures are one line on stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _ending_by_signal(ctx):
                return super().invoke(ctx)
        except click.UsageError as error:
            with contextlib.suppress(OSError):
                click.UsageError(show_lines(error.format_message()), error.ctx).show()
            ctx.exit(error.exit_code)
        except SpecSyntaxError as error:
            # Wrong usage, reported as Spack does: the spec, and a caret under the place.
            for line in error.render().split("\n"):
                say(line)
            ctx.exit(2)
        except FileFaultsError as error:
            say_some(error.faults)
            ctx.exit(1)
        except WarehouseError as error:
            say(f"spack-warehouse: {error}")
            ctx.exit(2 if isinstance(error, NoQueryError) else 1)
        except RuntimeError as error:
            if str(error) != QUERY_INTERRUPTED:
                _end_refused(ctx, error)
            raise click.Abort from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            say_error(error)
            ctx.exit(1)
        except BaseException as error:
            _end_refused(ctx, error)


@contextlib.contextmanager
def _ending_by_signal(ctx: click.Context) -> Iterator[None]:
    """Exit as a signal asks that came, whatever error a library made of what its handler raised."""
    try:
        yield
    except BaseException:
        if _ended_by:
            ctx.exit(128 + _ended_by[0])
        raise


def _end_refused(ctx: click.Context, error: BaseException) -> NoReturn:
    """Say in a line what the machine refused a library; raise the error where it is another."""
    refusal = explain_refusal(error)
    if refusal is None:
        raise error
    say(f"spack-warehouse: {refusal}")
    ctx.exit(1)


def say_error(error: OSError) -> None:
    """What the machine refused, in a line; it may be that stdout takes no more."""
    drop_unwritten(sys.stdout)
    where = f"{error.filename}: " if error.filename else ""
    say(f"spack-warehouse: {where}{error.strerror or error}")


def give_warehouse(ctx: click.Context, commands: Mapping[str, click.Command], warehouse: Path) -> None:
    """Make ``warehouse`` the default of all ``commands`` that have one.

    Raises:
        UsageError: it was given on the command line, to a command that has none.
    """
    having = {name for name, command in commands.items() if any(one.name == "warehouse" for one in command.params)}
    typed = ctx.get_parameter_source("warehouse") == ParameterSource.COMMANDLINE
    if typed and ctx.invoked_subcommand in set(commands) - having:
        raise click.UsageError(f"{ctx.invoked_subcommand} takes no --warehouse")
    ctx.default_map = {name: {"warehouse": str(warehouse)} for name in having}


_ended_by: list[int] = []
"""The signal that ends the process, once it has come."""


def end_on_signal(number: int, frame: object) -> NoReturn:
    # Unwinds like an error, so that an unfinished build is cleared away.
    _ended_by.append(number)
    sys.exit(128 + number)


def raise_again(lost: sys.UnraisableHookArgs) -> None:
    """As ``sys.unraisablehook``: let a signal come once more whose handler raised where Python cannot pass that on.

    Such a place is a call of the garbage collector; Python prints the error there, and goes on.
    """
    if isinstance(lost.exc_value, (SystemExit, KeyboardInterrupt)):
        number = _ended_by[-1] if _ended_by else signal.SIGINT
        # Not from here, where it would be lost as well.
        again = threading.Timer(SOON, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(lost)


def find_signal(error: BaseException) -> int | None:
    """The signal that an error comes of, if it is one's."""
    if _ended_by:
        return _ended_by[0]
    interrupted = isinstance(error, KeyboardInterrupt) or str(error) == QUERY_INTERRUPTED
    return signal.SIGINT if interrupted else None
