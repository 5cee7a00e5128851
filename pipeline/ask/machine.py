"""A machine that is to run binaries: the one at hand, or one that a user describes."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from pipeline.spack.hosts import measure_ancestors
from pipeline.spack.systems import MACOS_RELEASES, Libc, uses_libc

_MACOS_VERSIONS = ("10.15", "11", "12", "13", "14", "15", "26")
"""Those of :data:`pipeline.spack.systems.MACOS_RELEASES`."""
_GNU, _MUSL = re.compile(r"\(.*\) (\d+(?:\.\d+)+)"), re.compile(r"musl libc.*\nVersion (\d+(?:\.\d+)+)")
_SECONDS = 10


class Machine(NamedTuple):
    """A machine as Spack calls it: what is None is not asked for, and anything will do."""

    target: str | None = None
    platform: str | None = None
    os: str | None = None
    libc: Libc | None = None

    def __str__(self) -> str:
        at = f" at {self.libc.path}" if self.libc and self.libc.path else ""
        parts = (self.platform, self.os, self.target, f"{self.libc}{at}" if self.libc else None)
        return ", ".join(part for part in parts if part is not None)


def guess_host(target: str, asked_platform: str | None) -> Machine:
    """The host of a target: of the platform that was asked for, else darwin for Apple's, else linux."""
    return Machine(target, asked_platform or ("darwin" if "m1" in measure_ancestors(target) else "linux"))


def detect_machine() -> Machine:
    """The machine at hand. Of Linux the system's name is left out, for there Spack goes by the libc."""
    import archspec.cpu

    name = find_platform()
    return Machine(
        target=archspec.cpu.host().name,
        platform=name,
        os=find_macos_release() if name == "darwin" else None,
        libc=find_libc() if uses_libc(name) else None,
    )


def find_platform() -> str:
    """Spack's name of this machine's platform, such as ``linux`` (``lib/spack/spack/platforms/``)."""
    return {"win32": "windows", "cygwin": "windows"}.get(sys.platform, re.sub(r"[0-9].*", "", sys.platform))


def find_macos_release() -> str | None:
    """What Spack calls the release of macOS; None where that is not known."""
    major, _, rest = platform.mac_ver()[0].partition(".")
    version = f"10.{rest.partition('.')[0]}" if major == "10" else major
    return dict(zip(_MACOS_VERSIONS, MACOS_RELEASES, strict=True)).get(version)


def find_libc() -> Libc | None:
    """The C library of this machine, by its own word or by ``ldd --version``; None where neither says."""
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):  # another libc than glibc
        said = ""
    name, _, version = said.partition(" ")
    libc = Libc(name, version) if version else ask_ldd()
    return None if libc is None else libc._replace(path=find_libc_path())


def ask_ldd() -> Libc | None:
    """What ``ldd --version`` says; that of musl writes to stderr, and fails."""
    try:
        done = subprocess.run(["ldd", "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return read_ldd(done.stdout + done.stderr)


def read_ldd(text: str) -> Libc | None:
    """The libc that the words of ``ldd --version`` name; None where they name none."""
    if found := _MUSL.search(text):
        return Libc("musl", found[1])
    found = _GNU.search(text.partition("\n")[0])
    return Libc("glibc", found[1]) if found else None


def find_libc_path(lib: Path = Path("/lib")) -> str:
    """The prefix of the libc as Spack's externals have it: ``/usr`` where ``/lib`` leads there, else ``/``."""
    return "/usr" if lib.resolve().is_relative_to("/usr") else "/"
