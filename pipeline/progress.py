"""What a long piece of work tells of itself while it runs."""

from __future__ import annotations

from pathlib import Path


class Progress:
    """Told how a build goes; does nothing. The command line has one that draws a bar."""

    def wait(self, folder: Path, what: str) -> None:
        """Another ``what``, such as a build, holds the lock of ``folder``."""

    def stage(self, name: str, total: int, unit: str) -> None:
        """A stage of ``total`` units begins."""

    def advance(self, count: int) -> None:
        """``count`` more units of the stage are done."""
