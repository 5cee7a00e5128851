"""What a run tells while it goes: a line for each step, for people or for machines (a JSON object each)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

DONE, SHORT, FAILED, SKIPPED, NOTE, ENDED = "done", "falls short", "failed", "skipped", "note", "ended"
"""How a step ended; a note is a detail of the step before it, and a run that a signal ends is ended."""
SHOWN_NOTES = 10
"""So many notes of a step are told."""


class StepLog:
    """Writes lines of the ``format`` ``text`` or ``json`` with ``write``."""

    def __init__(self, format: str, write: Callable[[str], None]) -> None:
        self.format = format
        self._write = write

    def tell(self, step: str, status: str, message: str, seconds: float | None = None) -> None:
        """Write one line; ``seconds`` is how long the step took."""
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        message = " ".join(message.split())
        if self.format == "json":
            line: dict[str, object] = {"time": time, "step": step, "status": status, "message": message}
            if seconds is not None:
                line["seconds"] = round(seconds, 3)
            self._write(msgspec.json.encode(line).decode())
            return
        took = f"{seconds:.1f} s" if seconds is not None else ""
        self._write(f"{time} {step:9} {status:11} {took:>8}  {message}")

    def note(self, step: str, lines: list[str]) -> None:
        """Write the first of ``lines`` as notes of a step, and how many there are more."""
        for line in lines[:SHOWN_NOTES]:
            self.tell(step, NOTE, line)
        if len(lines) > SHOWN_NOTES:
            self.tell(step, NOTE, f"… and {len(lines) - SHOWN_NOTES:,} more")
