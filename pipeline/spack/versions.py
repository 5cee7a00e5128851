"""Spack's order of versions as text keys, and its version constraints as ranges of keys: pure functions.

A key is made once per version at extract; after that any engine that compares text byte by byte
(DuckDB's default, Spark, Polars) has ``max``, ``order by`` and ranges right without knowing the rules.

The rules are those of ``lib/spack/spack/version/version_types.py`` and ``common.py`` in Spack:

- A version is a list of components, numbers or words; ``.``, ``_`` and ``-`` only part them.
- Lists compare component by component, a list that goes on being greater: 1.2 < 1.2.0. A word is less
  than a number, a number less than an infinity (``develop``, ``main``, …), words compare as bytes.
- ``alpha``, ``beta`` or ``rc`` at the end, with or without a number, is a prerelease: it counts only
  when the rest is equal. So does ``final``, which changes nothing: 1.2final = 1.2.
- ``git.REF=1.2`` compares as 1.2. (Spack's lists keep it behind 1.2, which its source calls "the order
  versions are stored in, not a statement about which is newer".) A ref without a version comes last.

A key spells each component so that its first byte says what it is::

    * + ,  prerelease: alpha, beta, rc       1.2rc1   11 12 ,11
    -      no prerelease                     1.2      11 12 -
    .      a word, as it is                  1.2a     11 12 .a -
    0..8   a number of so many digits        1.10     11 210 -
    9      a longer one: digits of its length, its length, itself
    :      an infinity, by its rank          develop  :6 -
    ~      a git ref without a version

All of these but the last are less than any letter, so a word ends where the next component begins.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

INFINITIES = ("stable", "nightly", "trunk", "head", "master", "main", "develop")
"""Words greater than any number, the least first (``infinity_versions`` in Spack's common.py)."""

_PRERELEASES = {"alpha": "*", "beta": "+", "rc": ",", "final": "-"}
_RANKS = {name: f":{rank}" for rank, name in enumerate(INFINITIES)}
_ABOVE_VERSIONS = f":{len(INFINITIES)}"
_ABOVE_ALL = "\x7f"
_JUST_ABOVE = "!"

_COMPONENT = re.compile("[0-9]+|[A-Za-z]+")
_COMMIT = re.compile("[0-9A-Fa-f]{40}")
_VERSION = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*")


@functools.lru_cache(maxsize=65_536)
def version_key(version: str) -> str:
    """A text whose byte order is Spack's order of versions.

    Every text has a key; characters that no version of Spack's may hold count as separators.
    Versions that Spack holds equal (1.2 and 1_2, 1.1 and 1.01) have equal keys: where one of them
    must come first, order by ``version_key, version``.
    """
    ref, assigned = split_ref(version)
    return f"~{ref}" if assigned is None else _spell_version(assigned)


def split_ref(version: str) -> tuple[str | None, str | None]:
    """The git ref of a version, None where it has none, and the version that it compares as.

    A git version is ``git.REF``, a commit's 40 digits, or either with ``=VERSION``; one without a
    version, or with a range in its place, compares as none: the second is None.
    """
    if not (version.startswith("git.") or "=" in version[1:] or _COMMIT.fullmatch(version)):
        return None, version
    ref, _, assigned = version.removeprefix("git.").partition("=")
    return ref, assigned if assigned and ":" not in assigned else None


def _spell_version(version: str) -> str:
    release, ending = _split(version)
    return "".join(map(_spell, release)) + ending


def _split(version: str) -> tuple[list[str], str]:
    """The components of the release, and the spelling of the prerelease."""
    components = _COMPONENT.findall(version)
    if len(components) > 2 and components[-2] in _PRERELEASES and components[-1].isdigit():
        return components[:-2], _PRERELEASES[components[-2]] + _spell(components[-1])
    if len(components) > 1 and components[-1] in _PRERELEASES:
        return components[:-1], _PRERELEASES[components[-1]]
    return components, _PRERELEASES["final"]


def _spell(component: str) -> str:
    if not component.isdigit():
        return _RANKS.get(component) or f".{component}"
    digits = component.lstrip("0")
    length = len(digits)
    return f"{length}{digits}" if length < 9 else f"9{len(str(length))}{length}{digits}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """The versions with ``low <= version_key(version) < high``: in SQL too, where ``ref`` is None.

    ``ref`` narrows it to versions of that git ref, or, where empty, to versions of none.
    """

    low: str
    high: str
    ref: str | None = None

    def contains(self, version: str) -> bool:
        """Whether a version is in the range (``ClosedOpenRange`` in ``lib/spack/spack/version/version_types.py``)."""
        if self.ref is not None and self.ref != (split_ref(version)[0] or ""):
            return False
        return self.low <= version_key(version) < self.high


@dataclass(frozen=True, slots=True)
class VersionList:
    """The versions that any of ``ranges`` contains; ``text`` is how it was asked for, without ``@``."""

    text: str
    ranges: tuple[VersionRange, ...]

    def contains(self, version: str) -> bool:
        """Whether a version is in any of the ranges."""
        return any(part.contains(version) for part in self.ranges)


def satisfies(version: str, constraint: str) -> bool:
    """Whether one version satisfies a constraint such as ``@1.2:1.4``; see :func:`parse_versions`."""
    return parse_versions(constraint).contains(version)


def parse_versions(constraint: str) -> VersionList:
    """A version constraint of Spack's spec syntax, with or without its ``@``.

    =============  ===================================================================
    ``@1.4``       1.4 and all that continues it: 1.4.2, 1.4-custom
    ``@=1.4``      1.4 alone
    ``@1.2:1.4``   from 1.2 up to and with what continues 1.4; either end may be open
    ``@1.2,1.4:``  any of these
    ``@git.main``  the git ref ``main``, whatever version it is assigned
    =============  ===================================================================

    The upper end is Spack's own, ``_next_version`` of it exclusive: for 1.4 that is 1.5, which lets in
    the prereleases 1.5alpha1, 1.5rc1 as well.

    Raises:
        ValueError: it is no such constraint, or a range that ends before it begins.
    """
    text = "".join(constraint.split()).removeprefix("@")
    return VersionList(text, tuple(_parse_range(part) for part in text.split(",")))


def _parse_range(text: str) -> VersionRange:
    exact = text.startswith("=")
    text = text[exact:]
    ref, assigned = split_ref(text)
    if ref is not None:
        if not ref:
            raise ValueError(f"{text!r} names no git ref")
        within = text.partition("=")[2]
        bounds = _find_exact(within) if assigned is not None else _find_bounds(within or ":")
        return VersionRange(bounds.low, bounds.high, ref)
    return _find_exact(text) if exact else _find_bounds(text)


def _find_exact(version: str) -> VersionRange:
    key = _spell_version(_check(version))
    return VersionRange(key, key + _JUST_ABOVE, ref="")


def _find_bounds(text: str) -> VersionRange:
    first, colon, last = text.partition(":")
    if not colon:
        last = first
    elif not first and not last:
        return VersionRange("", _ABOVE_ALL)
    low = _spell_version(_check(first)) if first or not colon else ""
    high = _find_next_key(_check(last)) if last else _ABOVE_VERSIONS
    if high <= low:
        raise ValueError(f"{text} is an empty range: {last} comes before {first}")
    return VersionRange(low, high)


def _check(version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a version")
    return version


def _find_next_key(version: str) -> str:
    """The key of Spack's ``_next_version``: the first that a range up to ``version`` leaves out."""
    release, ending = _split(version)
    if ending[0] != _PRERELEASES["final"]:
        # A prerelease counts on by its number: rc1 -> rc2, rc -> rc0.
        number = _COMPONENT.findall(version)[-1]
        ending = ending[0] + _spell(str(int(number) + 1) if number.isdigit() else "0")
        return "".join(map(_spell, release)) + ending
    *start, last = release or [""]
    return "".join(map(_spell, start)) + _spell_next(last) + ending


def _spell_next(component: str) -> str:
    if component.isdigit():
        return _spell(str(int(component) + 1))
    if component in INFINITIES:
        return f":{INFINITIES.index(component) + 1}"
    word = _find_next_word(component)
    return _spell(_find_next_word(word) if word in INFINITIES else word)


def _find_next_word(word: str) -> str:
    """Spack's ``_next_str``: its last letter counted on, and not the next word of a dictionary."""
    if word == "" or word[-1] == "z":
        return word + "A"
    return word[:-1] + ("a" if word[-1] == "Z" else chr(ord(word[-1]) + 1))
