"""The program's two streams: data and answers on stdout, messages on stderr.

Names in a source are anybody's: a carriage return, an escape code or a turn of the writing direction in one would
draw on a terminal or in a workflow's log what is not there. What is written for people shows such a character as its
escape, ``\\x1b``. Data for programs is exact: CSV and Parquet are the bytes they are, unless stdout is a terminal;
JSON spells such characters ``\\u001b``, which is the same text.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO, TypeVar

T = TypeVar("T")
# Control characters, marks and turns of the writing direction, line separators, halves of surrogate pairs.
_BEYOND_ASCII = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE = re.compile(f"[\x00-\x1f{_BEYOND_ASCII}]")
_UNSAFE_IN_LINES = re.compile(f"[\x00-\x09\x0b-\x1f{_BEYOND_ASCII}]")
_UNSAFE_IN_JSON = re.compile(f"[{_BEYOND_ASCII}]")
_PLAIN_BOX = str.maketrans("─│┌┐└┘├┤┬┴┼…·", "-|+++++++++.·")


def show_text(text: str) -> str:
    """``text`` in one line that is safe to show; a byte that is no UTF-8 is shown as ``\\xff``."""
    return _UNSAFE.sub(_escape, text)


def show_lines(text: str) -> str:
    """``text`` whose lines are safe to show, and stay lines."""
    return _UNSAFE_IN_LINES.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        # Half of a pair that stands for a byte of a file name, by Python's surrogateescape.
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode()


def show_json(text: str) -> str:
    """JSON ``text`` whose strings are safe to show, and mean the same."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_utf8(text: str) -> bool:
    """Whether a text is UTF-8: a name from the file system may hold other bytes, by Python's surrogateescape."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def open_streams() -> None:
    """Make both streams such that no text and no closed stream ends the program with a traceback.

    A stream that was closed is opened on the null device: else the next file that is opened would take its number, and
    what is written to the stream. stdout is opened such that writing to it fails, since what is lost there is data.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given, and those below are open.
            os.open(os.devnull, mode)
    # Python has no object for a stream that was closed.
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Write one line to stderr. That nobody can read it ends nothing."""
    _write(sys.stderr, show_text(" ".join(line.split("\n"))) + "\n", lost=True)


SHOWN_LINES = 10


def say_some(lines: Sequence[T], describe: Callable[[T], str] = str) -> None:
    """Write the first lines to stderr, each as ``describe`` makes it of what is given, and how many there are more."""
    for line in lines[:SHOWN_LINES]:
        say(describe(line))
    if len(lines) > SHOWN_LINES:
        say(f"… and {len(lines) - SHOWN_LINES:,} more")


def write_line(line: str) -> None:
    """Write a line of what was done to stdout; where it cannot be written, stderr says why, and the command goes on."""
    try:
        _write(sys.stdout, show_text(line) + "\n")
    except BrokenPipeError:
        pass
    except OSError as error:
        say(f"spack-warehouse: {error.filename}: {error.strerror}")


def write_lines(text: str) -> None:
    """Write lines for people to stdout.

    Raises:
        OSError: they cannot be written; its filename is ``stdout``.
    """
    write_styled(show_lines(text))


def write_styled(text: str) -> None:
    """The same of lines that are safe to show already, and may have a terminal's colours."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN_BOX)
    _write(sys.stdout, text)


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def write_data(chunks: Iterable[bytes]) -> None:
    """Write a program's data to stdout, in UTF-8 whatever the locale; on a terminal as text that is safe to show.

    Raises:
        OSError: it cannot be written; its filename is ``stdout``.
    """
    decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
    for chunk in chunks:
        if is_terminal():
            write_lines(decode(chunk))
        else:
            _write(sys.stdout, chunk)


def _write(stream: TextIO, data: str | bytes, lost: bool = False) -> None:
    """Write to a stream at once; with ``lost`` it does not matter where it cannot be."""
    try:
        if isinstance(data, bytes):
            stream.buffer.write(data)
        else:
            stream.write(data)
        stream.flush()
    except OSError as error:
        drop_unwritten(stream)
        if not lost:
            error.filename = "stdout"
            raise


def drop_unwritten(stream: TextIO) -> None:
    """Send what is left in a stream that takes no more to the null device: it would fail once more when Python ends."""
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
