"""Words for numbers (pure)."""

from __future__ import annotations


def number_of(number: int, noun: str) -> str:
    """A number of things in words: ``1 snapshot``, ``2,000 pages``, ``0 indexes``."""
    plural = noun + ("es" if noun.endswith("x") else "s")
    return f"{number:,} {noun if number == 1 else plural}"
