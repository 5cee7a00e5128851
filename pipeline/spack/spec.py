"""Spack's spec syntax, read for asking a cache: text -> :class:`Query`, a pure function.

The grammar is that of ``lib/spack/spack/spec_parser.py`` and of Spack's page "Spec Syntax"
(https://spack.readthedocs.io/en/latest/spec_syntax.html), for one node::

    hdf5@1.14: +mpi ~cxx api=v18 target=x86_64_v3: %gcc@11   a package and what is asked of it
    +mpi os=ubuntu22.04                                      the same without a package
    /abc123                                                  the start of a hash

As in Spack, ``-mpi`` needs a space before it, an unquoted value goes on to the next space, and from
Spack 1.0 on what follows ``%gcc`` is asked of gcc. ``target=zen4`` means exactly that target: what a
zen4 host can use is another question (:mod:`pipeline.spack.hosts`).

What caches do not record is refused and not guessed: ``^dependencies``, a compiler's own variants,
compiler flags, conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from pipeline.errors import SpecSyntaxError, add_near
from pipeline.spack.compilers import FLAGS, LANGUAGES, compiler_family
from pipeline.spack.hosts import is_known, list_targets, satisfies_target
from pipeline.spack.systems import Libc
from pipeline.spack.variants import Variant, meets, parse_variant, read_variants, unquote
from pipeline.spack.versions import VersionList, parse_versions

_ID = "[A-Za-z0-9_][A-Za-z0-9_-]*"
_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
_VERSION = rf"=?{_NAME}\b"
# The end of a range must not be the name of a pair: @1.2:target=zen4 is @1.2: and target=zen4.
_RANGE = rf"(?:(?:{_VERSION})?:(?:{_VERSION}(?![A-Za-z0-9_.-]|\s*:?=))?|{_VERSION})"
_GIT = r"(?:git\.[A-Za-z0-9_][A-Za-z0-9_./-]*|[0-9A-Fa-f]{40}(?![A-Za-z0-9_.-]))"
_QUOTED = r"""'(?:[^']|(?<=\\)')*'|"(?:[^"]|(?<=\\)")*\""""
_BARE = r"[A-Za-z0-9_+*.,:=%^~/\\-]+"

_TOKEN = re.compile(
    rf"""
    (?P<edge> (?:\^|%%?) (?:\[(?P<attributes>[^\]]*)\])? (?:\s*(?P<virtuals>{_ID}(?:,{_ID})*)=(?=\w))? )
    | (?P<version> @{_GIT}(?:={_RANGE})? | @\s*{_RANGE}(?:\s*,\s*{_RANGE})* )
    | (?P<boolean> (?:\+\+|~~|--|[+~-])\s*{_NAME} )
    | (?P<pair> (?P<key>{_NAME})(?P<operator>:?==?)(?P<value>{_QUOTED}|{_BARE}) )
    | (?P<name> {_ID}(?:\.{_ID})* | \* )
    | (?P<hash> /[A-Za-z0-9_]+ )
    | (?P<space> \s+ )
    """,
    re.VERBOSE | re.ASCII,
)

_INCOMPLETE = {
    "@": "no version follows '@'",
    "+": "no variant follows '+'",
    "~": "no variant follows '~'",
    "-": "no variant follows '-'",
    "/": "no hash follows '/'",
    "=": "'=' needs a name before it and a value after it, without spaces",
    ":": "':' belongs between versions, after '@'",
    "'": "quotes go around a value, as in name='a b', and must be closed",
    '"': 'quotes go around a value, as in name="a b", and must be closed',
}
_ARCH = ("platform", "os", "target")
PLACES = {
    "arch": _ARCH,
    "architecture": _ARCH,
    "namespace": ("namespace",),
    "operating_system": ("os",),
    "os": ("os",),
    "platform": ("platform",),
    "target": ("target",),
}
"""Keys of pairs that are no variants, and the attributes of a query that they ask for."""

Token = re.Match[str]


@dataclass(frozen=True)
class AskedCompiler:
    """A compiler asked for: its family, its versions, the languages it must be of (none: any)."""

    text: str
    family: str
    versions: VersionList | None = None
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Query:
    """What a spec asks for; None or empty where it does not ask.

    ``target`` is a constraint for :func:`pipeline.spack.hosts.satisfies_target`, ``hash`` the start of one.
    """

    text: str
    package: str | None = None
    namespace: str | None = None
    versions: VersionList | None = None
    variants: tuple[Variant, ...] = ()
    compilers: tuple[AskedCompiler, ...] = ()
    platform: str | None = None
    os: str | None = None
    target: str | None = None
    hash: str | None = None


def parse_spec(text: str, old: bool = False) -> Query:
    """The query that one spec in Spack's syntax stands for.

    With ``old`` it is read as before Spack 1.0: variants and the place after ``%gcc`` are the package's.

    Raises:
        SpecSyntaxError: with the place and the reason.
    """
    package, *compilers = _part_nodes(_cut(text), old)
    if not package and not compilers:
        raise SpecSyntaxError(text, len(text), "a spec is expected, such as hdf5@1.14: +mpi %gcc")
    return _read_query(text, package, compilers)


def _refuse(token: Token, reason: str, group: str | int = 0, at: int = 0) -> NoReturn:
    """Raise an error at a token, or ``at`` characters after the start of one of its groups."""
    raise SpecSyntaxError(token.string, token.start(group) + at, reason)


def _cut(text: str) -> Iterator[Token]:
    """The tokens of ``text``, spaces left out."""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            if unclosed := re.compile(r":?==?(?=['\"])").match(text, at):
                at = unclosed.end()
            raise SpecSyntaxError(text, at, _INCOMPLETE.get(text[at], f"{text[at]!r} is not part of a spec"))
        if token.lastgroup != "space":
            yield token
        at = token.end()


def _part_nodes(tokens: Iterable[Token], old: bool) -> list[list[Token]]:
    """The tokens of the package, then those of each compiler from its ``%`` on."""
    nodes: list[list[Token]] = [[]]
    for token in tokens:
        if token.lastgroup == "edge":
            nodes.append([])
        last = nodes[0] if old and token.lastgroup in ("boolean", "pair", "hash") else nodes[-1]
        last.append(token)
    return nodes


def _read_query(text: str, package: list[Token], compilers: list[list[Token]]) -> Query:
    parts: dict[str, str] = {}
    variants: dict[str, Variant] = {}
    versions = None
    for index, token in enumerate(package):
        match token.lastgroup:
            case "name":
                if index > 0:
                    _refuse(token, f"{token[0]!r} begins a second spec: one is expected, and its name comes first")
                _add(parts, token, _read_name(token))
            case "version":
                versions = _read_versions(token, versions)
            case "hash":
                _add(parts, token, {"hash": token[0][1:]})
            case "pair" if token["key"] in PLACES:
                _add(parts, token, _read_place(token))
            case _:
                variant = _read_variant(token)
                if variant.name in variants:
                    _refuse(token, f"{variant.name!r} a second time: several values are spelt {variant.name}=a,b")
                variants[variant.name] = variant
    return Query(
        text=text,
        versions=versions,
        variants=tuple(variants.values()),
        compilers=tuple(map(_read_compiler, compilers)),
        **parts,
    )


def _add(parts: dict[str, str], token: Token, more: Mapping[str, str]) -> None:
    for name, value in more.items():
        if name in parts:
            _refuse(token, f"a second {name}")
        parts[name] = value


def _read_name(token: Token) -> dict[str, str]:
    """The package, and the namespace of ``builtin.hdf5``; ``*`` stands for any package."""
    namespace, _, name = token[0].rpartition(".")
    found = {"namespace": namespace, "package": name}
    return {} if name == "*" else {key: value for key, value in found.items() if value}


def _read_versions(token: Token, before: VersionList | None) -> VersionList:
    if before is not None:
        _refuse(token, "a second version: several are spelt @1.2,1.4:1.6")
    try:
        return parse_versions(token[0])
    except ValueError as error:
        _refuse(token, str(error))


def _read_variant(token: Token) -> Variant:
    if token["key"] in FLAGS:
        _refuse(token, f"caches do not record compiler flags: {token['key']} cannot be answered")
    return parse_variant(token[0])


def _read_place(token: Token) -> dict[str, str]:
    """The parts of the query's place that a pair asks for: ``os=``, ``arch=platform-os-target``, …"""
    if token["operator"].endswith("=="):
        _refuse(token, f"{token['key']} cannot be propagated: one '=' is expected", "operator")
    value = unquote(token["value"])
    names, values = PLACES[token["key"]], [value]
    if names == _ARCH:
        # One word alone is a target; None stands for any (Spec._add_flag in lib/spack/spack/spec.py).
        values = value.split("-")
        if len(values) != 3:
            names, values = ("target",), [value]
    found = {name: part for name, part in zip(names, values, strict=True) if part not in ("", "None")}
    for name, part in found.items():
        wrong = re.search(r"[^A-Za-z0-9_.:,-]" if name == "target" else r"[^A-Za-z0-9_.+-]", part)
        if wrong:
            reason = f"{wrong[0]!r} cannot be part of the {name}; what comes after a value needs a space before it"
            _refuse(token, reason, "value", token["value"].index(wrong[0]))
    if "target" in found:
        _check_targets(token, found["target"])
    return found


def _check_targets(token: Token, targets: str) -> None:
    for part in targets.split(","):
        first, colon, last = part.partition(":")
        if ":" in last or not part:
            _refuse(token, f"{targets!r} is not a list of targets and ranges of them", "value")
        for end in (first, last):
            if colon and end and not is_known(end):
                reason = f"{end!r} ends a range and is no target that archspec knows"
                _refuse(token, add_near(reason, end, list_targets()), "value")


def _read_compiler(tokens: list[Token]) -> AskedCompiler:
    edge, *tokens = tokens
    if edge[0].startswith("^"):
        _refuse(edge, "caches' pages hold no dependencies: what stands after '^' cannot be answered")
    languages = _read_languages(edge)
    if not tokens or tokens[0].lastgroup != "name" or tokens[0][0] == "*":
        raise SpecSyntaxError(edge.string, edge.end(), "the name of a compiler is expected after '%'")
    name = tokens[0][0].rpartition(".")[2]
    versions = None
    for token in tokens[1:]:
        if token.lastgroup == "name":
            _refuse(token, f"{token[0]!r} begins a second spec: one is expected, and its name comes first")
        if token.lastgroup != "version":
            _refuse(
                token,
                f"{token[0]!r} is asked of {name} here, and caches record only its version; "
                f"to ask it of the package, put it before '{edge[0].strip()}{name}'",
            )
        versions = _read_versions(token, versions)
    text = edge.string[edge.start() : tokens[-1].end()]
    return AskedCompiler(text, compiler_family(name), versions, languages)


def _read_languages(edge: Token) -> tuple[str, ...]:
    """The languages of ``%c,cxx=gcc`` or ``%[virtuals=c,cxx] gcc``; the dependency's type says no more."""
    languages = edge["virtuals"].split(",") if edge["virtuals"] else []
    for attribute in (edge["attributes"] or "").split():
        name, _, value = attribute.partition("=")
        if name == "virtuals":
            languages += unquote(value).split(",")
        elif name != "deptypes":
            _refuse(edge, f"{name!r} cannot be answered: virtuals= and deptypes= can stand here", "attributes")
    for language in languages:
        if language not in LANGUAGES:
            _refuse(edge, f"{language!r} is not c, cxx or fortran, and caches record no dependency but the compiler")
    return tuple(dict.fromkeys(languages))


AXES = ("package", "namespace", "version", "compiler", "variants", "os", "platform", "target", "hash")


@dataclass(frozen=True)
class Candidate:
    """A concrete spec: columns of the view ``specs``.

    ``compilers`` is language -> ``name@version``. It and ``namespace`` are None where the source, such as
    a page, does not say; a namespace that is not known is not compared. ``libc`` is what it needs of its
    host; where ``libc_known``, None is that it needs none.
    """

    package: str
    hash: str
    version: str
    compiler: str
    os: str
    platform: str
    target: str
    variants: tuple[str, ...]
    compilers: Mapping[str, str] | None = None
    namespace: str | None = None
    libc: Libc | None = None
    libc_known: bool = False


class Miss(NamedTuple):
    """Where a spec does not match: the axis, what was asked, what the spec has (None: nothing of it)."""

    axis: str
    asked: str
    found: str | None


def match(query: Query, spec: Candidate) -> list[str]:
    """The axes on which ``spec`` is not what ``query`` asks for, in the order of :data:`AXES`; none: a hit."""
    return list(dict.fromkeys(miss.axis for miss in find_misses(query, spec)))


def find_misses(query: Query, spec: Candidate) -> list[Miss]:
    """Each thing asked for that ``spec`` is not, in the order of :data:`AXES`: the fewer, the nearer it is."""
    return list(_miss_each(query, spec))


def _miss_each(query: Query, spec: Candidate) -> Iterator[Miss]:
    if query.package not in (None, spec.package):
        yield Miss("package", query.package, spec.package)
    if spec.namespace is not None and query.namespace not in (None, spec.namespace):
        yield Miss("namespace", query.namespace, spec.namespace)
    if query.versions is not None and not query.versions.contains(spec.version):
        yield Miss("version", f"@{query.versions.text}", spec.version)
    for asked in query.compilers:
        if not _is_built_by(asked, spec):
            yield Miss("compiler", asked.text, spec.compiler)
    yield from _miss_variants(query.variants, spec.variants)
    if query.os not in (None, spec.os):
        yield Miss("os", query.os, spec.os)
    if query.platform not in (None, spec.platform):
        yield Miss("platform", query.platform, spec.platform)
    if query.target is not None and not satisfies_target(spec.target, query.target):
        yield Miss("target", query.target, spec.target)
    if query.hash is not None and not spec.hash.startswith(query.hash):
        yield Miss("hash", query.hash, spec.hash)


def _miss_variants(asked: Iterable[Variant], variants: Iterable[str]) -> Iterator[Miss]:
    by_name = read_variants(variants)
    for variant in asked:
        found = by_name.get(variant.name)
        if not meets(variant, found):
            yield Miss("variants", variant.text, found.text if found else None)


def _is_built_by(asked: AskedCompiler, spec: Candidate) -> bool:
    """Whether the compiler asked for built ``spec``: its languages, where some are named, or any.

    A page names one compiler, the first that provides C, then C++, then Fortran. It counts for C and
    C++; of Fortran a page says nothing, and the answer is no.
    """
    compilers = spec.compilers
    if compilers is None:
        compilers = {"c": spec.compiler, "cxx": spec.compiler}
    if asked.languages:
        return all(language in compilers and _is_compiler(asked, compilers[language]) for language in asked.languages)
    return any(_is_compiler(asked, compiler) for compiler in compilers.values())


def _is_compiler(asked: AskedCompiler, compiler: str) -> bool:
    name, _, version = compiler.partition("@")
    if compiler_family(name) != asked.family:
        return False
    return asked.versions is None or (version != "" and asked.versions.contains(version))
