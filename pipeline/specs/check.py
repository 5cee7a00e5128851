"""From a page's records to checked specs and rejects: pure functions, no I/O.

This is the careful way, record by record: it says what is wrong where. A page with nothing amiss goes the
fast way of :mod:`pipeline.specs.columns`, and a test holds both ways together.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from pipeline.errors import Fault
from pipeline.specs.page import Page


class Spec(msgspec.Struct, gc=False):
    """A spec as a page spells it, with all that a page must say of one."""

    compiler: str
    hash: str
    os: str
    platform: str
    size: str | int
    stacks: list[str]
    target: str
    variants: list[str]
    versions: list[str]
    tarball: str | None = None


REQUIRED = tuple(name for name in Spec.__struct_fields__ if name != "tarball")
LISTS = ("stacks", "variants", "versions")

# Spack's hashes are base32 in lower case: https://spack.readthedocs.io (spack.hash_types).
HASH_PATTERN = re.compile("[a-z2-7]{32}")
_COMPILER = re.compile(r"([^@/\s]+)(?:@=?([^/\s]+))?(?:/\S*)?")
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])

LONGEST_SPEC = 2**20
"""Characters of a spec that are kept in its reject."""


class Compiler(NamedTuple):
    """A compiler in the warehouse's one spelling: ``gcc@11.4.0``, or ``none``."""

    compiler: str
    name: str
    version: str | None


class Reject(NamedTuple):
    """What could not be loaded from a file: place in it, reason, raw text, specs it stands for."""

    place: str
    reason: str
    raw: str | None
    specs: int | None


def make_reject(fault: Fault) -> Reject:
    """What a fault says of a whole file.

    It is kept in place of the fault: an exception holds every frame that it passed, and in what the garbage collector
    does not look into, as the structs here, those would stay until Python ends.
    """
    return Reject(fault.place, fault.reason, fault.raw, fault.specs)


@dataclass
class Records:
    """What a page gave: specs sorted by hash, rejects in page order, unknown keys counted."""

    specs: list[Spec]
    rejects: list[Reject] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


@functools.lru_cache(maxsize=4096)
def normalise_compiler(raw: str) -> Compiler:
    """The compiler that ``raw`` spells: ``gcc@=11.4.0``, ``gcc@11.4.0``, ``gcc`` or ``none``.

    Pages up to March 2025 write ``@=`` (Spack's syntax for exactly this version), later ones
    ``@``; Spack 1.1 prints ``gcc@11.4.0/<hash>``, of which the hash is no part of the compiler.

    Raises:
        Fault: ``raw`` is none of these.
    """
    match = _COMPILER.fullmatch(raw)
    if match is None:
        raise Fault("compiler", f"{raw!r} is not name@version")
    name, version = match.groups()
    return Compiler(name if version is None else f"{name}@{version}", name, version)


@functools.lru_cache(maxsize=4096)
def read_size(size: str | int) -> int | None:
    """The size in bytes; None where the source writes ``-``: it does not say.

    Raises:
        Fault: ``size`` is neither ``-`` nor a whole number of bytes below 2**63.
    """
    if size == "-":
        return None
    digits = str(size)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) >= 2**63:
        raise Fault("size", f"{size!r} is neither '-' nor a number of bytes")
    return int(digits)


def read_records(page: Page) -> Records:
    """The specs and rejects of a page.

    ``len(specs) + rejects`` of ``spec_details[…]`` is the number of records that the page holds.

    Raises:
        Fault: ``spec_details`` is not a list.
    """
    details = page.spec_details
    records: Iterable[object]
    if isinstance(details, bytes):
        try:
            records = _RAWS.decode(details)
        except msgspec.ValidationError:
            raise Fault("spec_details", "is not a list") from None
    elif isinstance(details, list):
        records = details
    else:
        raise Fault("spec_details", "is not a list")
    return read_each(records)


def read_each(records: Iterable[object]) -> Records:
    """Specs and rejects, record by record."""
    found = Records([])
    first: dict[str, int] = {}
    for index, record in enumerate(records):
        raw = None
        if isinstance(record, msgspec.Raw):
            raw = bytes(record).decode()
            record = msgspec.json.decode(record)
        try:
            spec = check_record(record, found.unknown)
            if spec.hash in first:
                raise Fault("hash", f"{spec.hash} stands already in spec_details[{first[spec.hash]}]")
        except Fault as fault:
            place = f"spec_details[{index}]" + (f".{fault.place}" if fault.place else "")
            text = raw if raw is not None else spell(record)
            found.rejects.append(Reject(place, fault.reason, text[:LONGEST_SPEC], 1))
        else:
            first[spec.hash] = index
            found.specs.append(spec)
    sort_specs(found.specs)
    return found


def check_record(record: object, unknown: Counter[str]) -> Spec:
    """The spec that one decoded record gives; its unknown keys are added to ``unknown``.

    Raises:
        Fault: with the first key that is missing, of a wrong type, or of a wrong value.
    """
    if not isinstance(record, dict):
        raise Fault("", f"is {name_type(record)}, not a mapping")
    for name in REQUIRED:
        if name not in record:
            raise Fault(name, "is missing")
        check_type(name, record[name])
    if record.get("tarball") is not None:
        check_type("tarball", record["tarball"])
    unknown.update(str(key) for key in record if key not in Spec.__struct_fields__)
    spec = Spec(**{key: record[key] for key in Spec.__struct_fields__ if key in record})
    check_values(spec)
    return spec


def check_type(name: str, value: object) -> None:
    """Refuse a value whose type is not its key's.

    Raises:
        Fault: it is not; the place is the key, and for an item of a list its index, such as ``variants[2]``.
    """
    if name in LISTS:
        if not isinstance(value, list):
            raise Fault(name, f"is {name_type(value)}, not a list")
        for at, item in enumerate(value):
            if not isinstance(item, str):
                raise Fault(f"{name}[{at}]", f"is {name_type(item)}, not a text")
    elif name == "size" and isinstance(value, int) and not isinstance(value, bool):
        pass
    elif not isinstance(value, str):
        raise Fault(name, f"is {name_type(value)}, not a text")


def check_values(spec: Spec) -> None:
    """Refuse a spec whose values, of the right types, cannot be.

    Raises:
        Fault: with the key as its place.
    """
    if not HASH_PATTERN.fullmatch(spec.hash):
        raise Fault("hash", f"{spec.hash[:80]!r} is not 32 characters of base32 (a-z, 2-7)")
    if len(spec.versions) != 1:
        raise Fault("versions", f"holds {len(spec.versions)} versions, not one" if spec.versions else "is empty")
    if not spec.stacks:
        raise Fault("stacks", "is empty")
    for name in REQUIRED:
        value = getattr(spec, name)
        for text in value if isinstance(value, list) else [value]:
            if text == "":
                raise Fault(name, "is empty" if text is value else "holds an empty text")
            if isinstance(text, str) and "\0" in text:
                raise Fault(name, "holds a NUL character")
    normalise_compiler(spec.compiler)
    read_size(spec.size)


def sort_specs(specs: list[Spec]) -> list[Spec]:
    """``specs`` in place by hash, each with its stacks sorted and every stack once."""
    specs.sort(key=_by_hash)
    for spec in specs:
        stacks = spec.stacks
        stacks.sort()
        if len(set(stacks)) != len(stacks):
            spec.stacks = sorted(set(stacks))
    return specs


def _by_hash(spec: Spec) -> str:
    return spec.hash


def name_type(value: object) -> str:
    """A value's type in words, with the value where it is short."""
    if value is None:
        return "null"
    kinds = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a mapping",
    }
    kind = kinds.get(type(value), f"a {type(value).__name__}")
    return f"{kind} ({value})" if isinstance(value, int | float) else kind


def spell(value: object) -> str:
    """``value`` as JSON, for a reject whose page was no JSON."""
    return msgspec.json.encode(value, enc_hook=str).decode()


class Meta(msgspec.Struct, gc=False):
    """What a page's own ``meta`` says of its specs; None for a field that it lacks."""

    num_specs: int | None = None
    num_specs_by_stack: dict[str, int] | None = None
    compilers: list[str] | None = None
    oss: list[str] | None = None
    platforms: list[str] | None = None
    targets: list[str] | None = None
    versions: list[str] | None = None
    stacks: list[str] | None = None


_META = msgspec.json.Decoder(Meta)
_META_TYPES = {field.name: field.type for field in msgspec.structs.fields(Meta)}


def read_meta(page: Page) -> tuple[str | None, Meta, list[Reject]]:
    """A page's ``meta`` as JSON text (None where it has none), its fields, and those of a wrong type."""
    if page.meta is None:
        return None, Meta(), []
    if isinstance(page.meta, bytes):
        try:
            return page.meta.decode(), check_counts(_META.decode(page.meta)), []
        except msgspec.ValidationError:
            pass  # A field is amiss: which one is reported below.
        values, text = msgspec.json.decode(page.meta), page.meta.decode()
    else:
        values, text = page.meta, spell(page.meta)
    if not isinstance(values, dict):
        return text, Meta(), [Reject("meta", f"is {name_type(values)}, not a mapping", None, 0)]
    meta, rejects = Meta(), []
    for name, kind in _META_TYPES.items():
        try:
            setattr(meta, name, msgspec.convert(values.get(name), kind))
            check_counts(meta)
        except msgspec.ValidationError:
            setattr(meta, name, None)
            rejects.append(Reject(f"meta.{name}", "is of a wrong type", spell(values[name]), 0))
    return text, meta, rejects


def check_counts(meta: Meta) -> Meta:
    """Refuse counts that no 64-bit integer holds.

    Raises:
        ValidationError: one is larger.
    """
    counts = [meta.num_specs or 0, *(meta.num_specs_by_stack or {}).values()]
    if max(counts) >= 2**63 or min(counts) < -(2**63):
        raise msgspec.ValidationError("a count of more than 64 bits")
    return meta
