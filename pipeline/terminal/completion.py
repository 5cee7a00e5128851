"""The command ``completion``."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from pipeline.io.streams import write_lines


class Bash(BashComplete):
    """Bash, which takes ``target=zen4`` and ``gcc@12`` apart: they are read whole here, and offers are cut as it does.

    ``_cut`` is what bash keeps of the word: all up to the last of ``COMP_WORDBREAKS``.
    """

    source_template = BashComplete.source_template.replace(
        "$(env ", '$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" '
    )
    _cut = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        if "COMP_LINE" not in os.environ:
            # A script that an older version printed.
            return super().get_completion_args()
        # The mark shows whether the cursor is in a word or after it.
        _, *words, last = split_arg_string(os.environ["COMP_LINE"] + MARK)
        typed = last.removesuffix(MARK)
        kept = max((typed.rfind(one) for one in os.environ.get("COMP_WORDBREAKS", "") if not one.isspace()), default=-1)
        self._cut = typed[: kept + 1]
        return words, typed

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value.removeprefix(self._cut)}"


MARK = "."
SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}
PROGRAM = "spack-warehouse"
add_completion_class(Bash)


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)), metavar="bash|zsh|fish", required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print what lets a shell complete commands and names.

    \b
      eval "$(spack-warehouse completion bash)"      in ~/.bashrc; zsh alike, in ~/.zshrc
      spack-warehouse completion fish > ~/.config/fish/completions/spack-warehouse.fish

    Commands and options complete, and the names that the warehouse has: snapshots (also by day, as 2025-06-01),
    stacks, packages and, in SPEC, versions, variants, %compilers and target=, os=, platform=. The warehouse is that
    of --warehouse, or of SPACK_WAREHOUSE. Bash has to be 4.4 or newer.
    """
    if shell is None:
        # Click's own line lists the shells with tabs that are shown as \t.
        raise click.UsageError(f"Missing argument 'SHELL': {', '.join(SHELLS)}.")
    made = SHELLS[shell](ctx.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper().replace('-', '_')}_COMPLETE")
    # Not source(): of bash it asks which version runs here, which need not be the one that reads this.
    write_lines(made.source_template % made.source_vars() + "\n")
