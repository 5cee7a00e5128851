"""Which binaries run on which processor: archspec's graph of microarchitectures, as rows.

A binary built for a target runs on a host whose microarchitecture is that target or descends from it
(``archspec.cpu.Microarchitecture``: parenthood goes by CPU features, not by time). The graph has nodes
with several parents: zen4 descends from zen3 and from x86_64_v4, and zen3 not from x86_64_v4.

A target that archspec does not know (``graviton2``) has no row: nothing can be said of it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import archspec.cpu


class Ancestry(NamedTuple):
    """That a host of microarchitecture ``target`` runs what was built for ``ancestor``.

    ``distance`` counts the fewest steps between them, 0 for the target itself, which is a row too: of
    the binaries that a host can use, the nearest is made the most of its features. ``family`` is the
    instruction set (``x86_64``), ``vendor`` the maker of ``target``, or ``generic``.
    """

    target: str
    ancestor: str
    distance: int
    family: str
    vendor: str


class Host(NamedTuple):
    """A kind of machine: its microarchitecture and Spack's name of its platform."""

    target: str
    platform: str
    machines: str


WELL_KNOWN_HOSTS = (
    Host("x86_64_v2", "linux", "any x86 machine since about 2009; what RHEL 9 needs"),
    Host("x86_64_v3", "linux", "any x86 machine with AVX2; what RHEL 10 needs"),
    Host("haswell", "linux", "Intel Xeon E5 and E7, v3"),
    Host("skylake_avx512", "linux", "Intel Xeon Scalable, 1st generation"),
    Host("cascadelake", "linux", "Intel Xeon Scalable, 2nd generation"),
    Host("icelake", "linux", "Intel Xeon Scalable, 3rd generation"),
    Host("sapphirerapids", "linux", "Intel Xeon Scalable, 4th and 5th generation"),
    Host("zen2", "linux", "AMD EPYC 7002 (Rome)"),
    Host("zen3", "linux", "AMD EPYC 7003 (Milan)"),
    Host("zen4", "linux", "AMD EPYC 9004 (Genoa, Bergamo)"),
    Host("zen5", "linux", "AMD EPYC 9005 (Turin)"),
    Host("neoverse_n1", "linux", "AWS Graviton2, Ampere Altra"),
    Host("neoverse_v1", "linux", "AWS Graviton3"),
    Host("neoverse_v2", "linux", "AWS Graviton4, NVIDIA Grace"),
    Host("a64fx", "linux", "Fujitsu A64FX (Fugaku)"),
    Host("power9le", "linux", "IBM POWER9 (Summit, Sierra)"),
    Host("m1", "darwin", "Apple M1"),
    Host("m2", "darwin", "Apple M2"),
)
"""Hosts whose coverage is worth a look without being asked for.

Most are the processors for which EESSI, which serves the same users, builds natively
(https://www.eessi.io/docs/software_layer/cpu_targets). Beside them stand the newest EPYC, the two levels
of x86_64 that a fleet of mixed machines builds for, and what Spack's CI has had stacks for: POWER, Macs.
"""


@functools.cache
def _list_parents() -> Mapping[str, tuple[str, ...]]:
    targets = archspec.cpu.TARGETS
    return {name: tuple(parent.name for parent in targets[name].parents) for name in targets}


@functools.cache
def measure_ancestors(target: str) -> Mapping[str, int]:
    """The distance of each target that a host of ``target`` can use, itself first; empty if unknown."""
    parents = _list_parents()
    distances = {target: 0} if target in parents else {}
    queue = list(distances)
    for name in queue:
        for parent in parents[name]:
            if parent not in distances:
                distances[parent] = distances[name] + 1
                queue.append(parent)
    return distances


def list_ancestry() -> list[Ancestry]:
    """Every pair of archspec's targets of which the one runs the other's binaries, sorted.

    As a table it is all that SQL needs: what runs on a host is what joins with ``ancestor`` where
    ``target`` is the host's; a spec whose target is no ``target`` of the table is unresolved.
    """
    rows = []
    for name, target in archspec.cpu.TARGETS.items():
        for ancestor, distance in measure_ancestors(name).items():
            rows.append(Ancestry(name, ancestor, distance, target.family.name, target.vendor))
    return sorted(rows)


def list_targets() -> list[str]:
    """The targets that archspec knows, in text order."""
    return sorted(_list_parents())


def is_known(target: str) -> bool:
    """Whether archspec knows the target."""
    return target in _list_parents()


def runs_on(target: str, host: str) -> bool:
    """Whether a host of microarchitecture ``host`` runs binaries for ``target``; no where either is unknown."""
    return target in measure_ancestors(host)


def satisfies_target(target: str, constraint: str) -> bool:
    """Whether ``target`` satisfies Spack's constraint: a list of targets and ranges of them.

    A target alone means exactly that one, and ``x86_64_v3:zen3`` all that descend from (or are)
    x86_64_v3 and from which zen3 descends (or is); either end may be open (``ArchSpec._target_satisfies``
    in ``lib/spack/spack/spec.py``). An unknown target is in no range that has an end.
    """
    return any(_is_between(target, *part.partition(":")) for part in constraint.split(","))


def _is_between(target: str, lowest: str, colon: str, highest: str) -> bool:
    if not colon:
        return target == lowest
    return (not lowest or runs_on(lowest, target)) and (not highest or runs_on(target, highest))


class Succession(NamedTuple):
    """That ``successor`` builds on what ``stack`` built, and where that was decided."""

    stack: str
    successor: str
    evidence: str


STACK_LINEAGE = (Succession("e4s-arm", "e4s-neoverse_v1", "https://github.com/spack/spack/pull/40369"),)
"""A stack that ended with none to follow has no row: e4s-neoverse_v1 and e4s-neoverse-v2 lived side by side
until the first was removed (https://github.com/spack/spack/pull/48160), and are no line."""
