"""The command ``completion``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from pipeline.io.streams import write_lines

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
PROGRAM = "spack-warehouse"


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)), metavar="bash|zsh|fish", required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print what lets a shell complete commands and names.

    \b
      eval "$(spack-warehouse completion bash)"      in ~/.bashrc; zsh alike, in ~/.zshrc
      spack-warehouse completion fish > ~/.config/fish/completions/spack-warehouse.fish

    Commands and options complete, and of --snapshot, --stack, --package, of SPEC, FROM and TO the names that the
    warehouse has: that of --warehouse, or of SPACK_WAREHOUSE. Bash has to be 4.4 or newer.
    """
    if shell is None:
        # Click's own line lists the shells with tabs that are shown as \t.
        raise click.UsageError(f"Missing argument 'SHELL': {', '.join(SHELLS)}.")
    made = SHELLS[shell](ctx.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper().replace('-', '_')}_COMPLETE")
    # Not source(): of bash it asks which version runs here, which need not be the one that reads this.
    write_lines(made.source_template % made.source_vars() + "\n")
