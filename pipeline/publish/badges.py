"""Badges: a small picture (SVG) that READMEs show, and the same as the JSON that shields.io draws one of.

https://shields.io/badges/endpoint-badge describes the JSON.
"""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec

SVG = "http://www.w3.org/2000/svg"
NAMED, GREY = "#1f6feb", "#6e7781"
"""Of what is there, and of what is not."""
_WIDTHS = {**dict.fromkeys("fijlrtI.,:'|!()[] -", 5), **dict.fromkeys("mwMW%@", 11)}
_WIDTH, _MARGIN, _HEIGHT = 7, 6, 20


def describe_stack(packages: int | None) -> str:
    """What a stack's badge says of its coverage; None: it is not known."""
    return "unknown" if packages is None else f"{packages:,} package{'' if packages == 1 else 's'}"


def describe_package(held: int | None, stacks: int) -> str:
    """What a package's badge says: in how many of the stacks it is; None: it is not known."""
    if held is None:
        return "unknown"
    return f"in {held:,} of {stacks:,} stack{'' if stacks == 1 else 's'}" if held else "no binary"


def render_badge(label: str, message: str, there: bool) -> tuple[bytes, bytes]:
    """The badge as SVG and as shields.io's JSON; ``there``: in colour."""
    colour = NAMED if there else GREY
    shield = {"schemaVersion": 1, "label": label, "message": message, "color": colour.removeprefix("#")}
    return _draw(label, message, colour), msgspec.json.encode(shield) + b"\n"


def _draw(label: str, message: str, colour: str) -> bytes:
    """A badge whose widths fit a common sans-serif font of 11 pixels; ``textLength`` makes any other fit."""
    ElementTree.register_namespace("", SVG)
    left, right = (sum(_WIDTHS.get(letter, _WIDTH) for letter in text) for text in (label, message))
    middle, width = left + 2 * _MARGIN, left + right + 4 * _MARGIN
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in f"{label}: {message}")
    size = {"width": str(width), "height": str(_HEIGHT)}
    svg = ElementTree.Element(f"{{{SVG}}}svg", {**size, "role": "img", "aria-label": text})
    ElementTree.SubElement(svg, f"{{{SVG}}}title").text = text
    for x, wide, fill in ((0, middle, "#24292f"), (middle, width - middle, colour)):
        place = {"x": str(x), "width": str(wide), "height": str(_HEIGHT), "fill": fill}
        ElementTree.SubElement(svg, f"{{{SVG}}}rect", place)
    font = {"fill": "#ffffff", "font-family": "Verdana, DejaVu Sans, sans-serif", "font-size": "11"}
    group = ElementTree.SubElement(svg, f"{{{SVG}}}g", font)
    for x, wide, shown in ((_MARGIN, left, text[: len(label)]), (middle + _MARGIN, right, text[len(label) + 2 :])):
        place = {"x": str(x), "y": "14", "textLength": str(wide)}
        ElementTree.SubElement(group, f"{{{SVG}}}text", place).text = shown
    data: bytes = ElementTree.tostring(svg, "utf-8")
    return data + b"\n"
