"""Spack's comparison of versions in plain Python: the oracle for the keys, written from Spack's rules.

Nothing here comes from :mod:`pipeline.spack.versions`: a version is the pair of a tuple of components and a
tuple for the prerelease, as in ``lib/spack/spack/version/version_types.py``, and Python compares them.
"""

from __future__ import annotations

import re

INFINITIES = ["stable", "nightly", "trunk", "head", "master", "main", "develop"]
STAGES = ["alpha", "beta", "rc", "final"]
FINAL = STAGES.index("final")
WORD, NUMBER, INFINITY = 0, 1, 2

LOWEST = ((), (0,))
HIGHEST = (((INFINITY, len(INFINITIES)),), (FINAL,))


def component(text):
    if text[0] in "0123456789":
        return NUMBER, int(text)
    if text in INFINITIES:
        return INFINITY, INFINITIES.index(text)
    return WORD, text


def read(text):
    parts = re.findall("[0-9]+|[a-zA-Z]+", text)
    stage = (FINAL,)
    if len(parts) >= 3 and parts[-2] in STAGES and component(parts[-1])[0] == NUMBER:
        stage = (STAGES.index(parts[-2]), int(parts[-1]))
        parts = parts[:-2]
    elif len(parts) >= 2 and parts[-1] in STAGES:
        stage = (STAGES.index(parts[-1]),)
        parts = parts[:-1]
    return tuple(map(component, parts)), stage


def is_git(text):
    return text.startswith("git.") or re.fullmatch("[0-9a-fA-F]{40}", text) is not None or "=" in text[1:]


def place(text):
    """What orders a version: of a git version, the version assigned; without one, after all others."""
    if not is_git(text):
        return 0, read(text)
    ref, _, assigned = text.removeprefix("git.").partition("=")
    return (0, read(assigned)) if assigned else (1, ref)


def next_word(word):
    if not word or word[-1] == "z":
        return word + "A"
    return word[:-1] + ("a" if word[-1] == "Z" else chr(ord(word[-1]) + 1))


def next_component(kind, value):
    if kind != WORD:
        return kind, value + 1
    value = next_word(value)
    while value in INFINITIES:
        value = next_word(value)
    return kind, value


def next_version(version):
    release, stage = version
    if stage[0] != FINAL:
        return release, (stage[0], stage[1] + 1 if len(stage) > 1 else 0)
    if not release:
        return ((WORD, "A"),), stage
    return (*release[:-1], next_component(*release[-1])), stage


def satisfies(text, constraint):
    """Whether a version that is no git version satisfies a constraint without git versions."""
    version = read(text)
    for part in constraint.split(","):
        if part.startswith("="):
            if version == read(part[1:]):
                return True
            continue
        low, colon, high = part.partition(":")
        high = high if colon else low
        if (read(low) if low else LOWEST) <= version < next_version(read(high) if high else HIGHEST):
            return True
    return False
