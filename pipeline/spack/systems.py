"""Which binaries run on which operating system: on Linux by its C library, on macOS by its release.

On Linux Spack takes a binary where the host's libc is the same, at the same path, and not older (``libc_is_compatible``
in ``lib/spack/spack/solver``); how the system is called does not matter. On macOS a newer release runs what was built
on an older one (``os_compatibility.lp``).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

WITHOUT_LIBC = frozenset({"darwin", "freebsd", "windows"})
"""Platforms on which no spec names a libc, for Spack looks at none there."""

LIBCS = ("glibc", "musl")
"""The C libraries that Spack finds on Linux (``lib/spack/spack/util/libc.py``)."""

MACOS_RELEASES = ("catalina", "bigsur", "monterey", "ventura", "sonoma", "sequoia", "tahoe")
"""macOS as Spack calls it, the oldest first."""

LibcMatch = Literal["ok", "too old", "other libc", "none needed", "unknown"]
"""What a host's libc is to a spec: ``too old`` is the host's."""


def uses_libc(platform: str) -> bool:
    """Whether a spec of the platform names the libc that it needs of its host."""
    return platform not in WITHOUT_LIBC


class Release(NamedTuple):
    """That a host of the operating system ``os`` runs what was built on ``ancestor``; see ``Ancestry``."""

    os: str
    ancestor: str
    distance: int


def list_releases() -> list[Release]:
    """Every pair of releases of which the one runs the other's binaries, sorted."""
    releases = enumerate(MACOS_RELEASES)
    return sorted(Release(os, MACOS_RELEASES[at - back], back) for at, os in releases for back in range(at + 1))


def runs_os(os: str, host: str) -> bool:
    """Whether a host of the operating system ``host`` runs what was built on ``os``, as far as its release says."""
    if os in MACOS_RELEASES and host in MACOS_RELEASES:
        return MACOS_RELEASES.index(os) <= MACOS_RELEASES.index(host)
    return os == host


class Libc(NamedTuple):
    """A C library; ``path`` is None where it is not asked for."""

    name: str
    version: str
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def parse_libc(text: str) -> Libc:
    """The libc that a user names: ``2.35`` (of glibc), ``glibc@2.35`` or ``musl@1.2.4``.

    Raises:
        ValueError: it is no such text.
    """
    name, at, version = text.partition("@")
    libc = Libc(name, version.removeprefix("=")) if at else Libc("glibc", text)
    if not libc.name or _read_numbers(libc.version) is None:
        raise ValueError(f"{text!r} is no libc, such as 2.35, glibc@2.35 or musl@1.2.4")
    return libc


def match_libc(spec: Libc | None, is_known: bool, host: Libc | None) -> LibcMatch:
    """Whether ``host`` will do for a spec that needs the libc ``spec``.

    ``is_known`` says whether the spec's source says it; with it, None is that it needs none.
    """
    if spec is None:
        return "none needed" if is_known else "unknown"
    if host is None:
        return "unknown"
    if spec.name != host.name or (spec.path is not None and host.path is not None and spec.path != host.path):
        return "other libc"
    needed, there = _read_numbers(spec.version), _read_numbers(host.version)
    if needed is None or there is None:
        return "ok" if spec.version == host.version else "unknown"
    return "ok" if there >= needed else "too old"


def _read_numbers(version: str) -> list[int] | None:
    """The parts of a version that is numbers and dots; None of any other, whose order is not known."""
    parts = version.split(".")
    return [int(part) for part in parts] if all(part.isascii() and part.isdigit() for part in parts) else None
