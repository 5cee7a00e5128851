"""Variants as Spack spells them, in specs and in questions: name and values; pure functions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
_BOOLEAN = re.compile(rf"(\+\+|~~|--|[+~-])\s*({_NAME})")
# SPLIT_KVP in lib/spack/spack/spec_parser.py: the first operator splits, the value may hold others.
_PAIR = re.compile(rf"({_NAME})(:?==?)(.*)", re.DOTALL)
_TRUE, _FALSE = frozenset({"True"}), frozenset({"False"})
BOOLEANS = _TRUE | _FALSE
"""The values of boolean variants."""
_QUOTED = re.compile(r"""(['"])(.*)\1""", re.DOTALL)


class Variant(NamedTuple):
    """A variant, and the text that spells it; a boolean one has the value ``True`` or ``False``.

    ``exact`` (``k:=a,b``) asks for these values and no other; ``propagated`` (``++x``, ``k==v``) for the
    same of the dependencies. Both mean something in a question only: a concrete spec has all its values.
    """

    name: str
    values: frozenset[str]
    exact: bool = False
    propagated: bool = False
    text: str = ""


@functools.lru_cache(maxsize=16384)
def parse_variant(text: str) -> Variant:
    """The variant that ``+x``, ``~x``, ``-x``, ``k=v``, ``k=a,b``, ``k:=a,b`` or ``k="a b"`` spells.

    ``k=true`` is ``+k``, and ``k=*`` has no values: any will do (``VariantValue.from_string_or_bool`` in
    ``lib/spack/spack/variant.py``).

    Raises:
        ValueError: ``text`` is no variant.
    """
    if match := _BOOLEAN.fullmatch(text):
        sign, name = match.groups()
        return Variant(name, frozenset({str(sign[0] == "+")}), True, len(sign) == 2, text)
    match = _PAIR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a variant")
    name, operator, value = match[1], match[2], unquote(match[3])
    exact, propagated = operator.startswith(":"), operator.endswith("==")
    if value.upper() in ("TRUE", "FALSE"):
        return Variant(name, frozenset({value.capitalize()}), True, propagated, text)
    if value == "*":
        return Variant(name, frozenset(), False, propagated, text)
    return Variant(name, frozenset(part.strip() for part in value.split(",")), exact, propagated, text)


def unquote(value: str) -> str:
    """A value without the quotes around it, and without the backslashes before quotes in it."""
    match = _QUOTED.fullmatch(value)
    return match[2].replace(f"\\{match[1]}", match[1]) if match else value


def read_variants(texts: Iterable[str]) -> dict[str, Variant]:
    """A concrete spec's variants by name; a text that is no variant is skipped."""
    variants = {}
    for text in texts:
        try:
            variant = parse_variant(text)
        except ValueError:
            continue
        variants[variant.name] = variant
    return variants


def normalise_variants(texts: Iterable[str]) -> str:
    """One text for what a concrete spec's variants say, the same however they are spelt and ordered.

    By name: ``+x`` or ``~x``, else ``name=values`` with the values sorted. A concrete spec has all its
    values, so ``k=a,b`` and ``k:=b,a`` say the same. Patches are cut to the 7 characters that pages have of
    them. A text that is no variant stands for itself.
    """
    return " ".join(sorted({_normalise(text) for text in texts}, key=lambda text: (text.lstrip("+~"), text)))


@functools.lru_cache(maxsize=16384)
def _normalise(text: str) -> str:
    try:
        variant = parse_variant(text)
    except ValueError:
        return _quote(text)
    if variant.values in (_TRUE, _FALSE):
        return f"{'+' if variant.values == _TRUE else '~'}{variant.name}"
    values = {value[:7] for value in variant.values} if variant.name == "patches" else variant.values
    return f"{variant.name}={_quote(','.join(sorted(values)) or '*')}"


def _quote(text: str) -> str:
    """``text`` so that it cannot be taken for several variants."""
    if not any(character.isspace() or character in "\"'\\" for character in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def meets(asked: Variant, found: Variant | None) -> bool:
    """Whether a concrete spec's variant (None: it has none of the name) is as asked.

    It must hold the values asked for and, where these are ``exact``, no others. One that is propagated
    need not be there at all: it may be meant for the dependencies (``VariantMap.satisfies`` in
    ``lib/spack/spack/spec.py``). A patch is named by the start of its sha256, which pages cut to 7
    characters: either may be the shorter.
    """
    if found is None:
        return asked.propagated
    if asked.name == "patches":
        return _name_patches(asked.values, found.values) and (
            not asked.exact or _name_patches(found.values, asked.values)
        )
    return asked.values == found.values if asked.exact else asked.values <= found.values


def _name_patches(some: frozenset[str], others: frozenset[str]) -> bool:
    return all(any(one.startswith(other) or other.startswith(one) for other in others) for one in some)
