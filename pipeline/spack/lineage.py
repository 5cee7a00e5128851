"""Which stack follows which: curated, since no cache says that a stack was renamed or taken over."""

from __future__ import annotations

from typing import NamedTuple


class Succession(NamedTuple):
    """That ``successor`` builds on what ``stack`` built, and where that was decided."""

    stack: str
    successor: str
    evidence: str


STACK_LINEAGE = (Succession("e4s-arm", "e4s-neoverse_v1", "https://github.com/spack/spack/pull/40369"),)
"""A stack that ended with none to follow has no row: e4s-neoverse_v1 and e4s-neoverse-v2 lived side by side
until the first was removed (https://github.com/spack/spack/pull/48160), and are no line."""
