"""Bytes become lines of text: a stream, unpacked on the way, that stops where a limit is passed.

So what is packed cannot fill the memory, and nothing is ever unpacked to disk.
"""

from __future__ import annotations

import gzip
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO

from dans_data.errors import InputError
from dans_data.limits import Limits
from dans_data.triplets import printable, unprintable

_PIECE = 2**20
"""Bytes read at a time."""

_SMALL = 2**20
"""Bytes of text below which to pack well is no sign of malice."""

IN_THE_TERMINAL = "python -m dans_core datasets --add FILE --encoding windows-1252"
"""How an encoding is said there."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""The marks that UTF-16 begins with, as Excel writes it for “Unicode Text”."""

_EXPECTED = "expected UTF-8 text, one triplet a line"


@dataclass(frozen=True)
class TripletFile:
    """One file of triplets, wherever it lies.

    Attributes:
        where: how complaints name it, on one line.
        form: how it is written: "tsv", "csv", "nt", "jsonl", "2id", "parquet", one of `rdf.FORMS`, or "plain" as this
            program writes it.
        open: its bytes from the beginning; raises OSError.
        packed: the size in bytes of the .gz or .zip file that it comes out of; 0 where it is not packed.
        gzipped: whether what `open` gives is gzip.
        encoding: how its text is encoded, as a person says; UTF-8, or UTF-16 with its mark, where nobody does.
    """

    where: str
    form: str
    open: Callable[[], IO[bytes]]
    packed: int = 0
    gzipped: bool = False
    encoding: str | None = None


class EncodingError(InputError):
    """Text that is not UTF-8; a person may know what it is. `hint` is how to say it in the terminal."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(f"{problem} ({hint})" if hint else problem)
        self.problem = problem
        self.hint = hint


class Meter:
    """Counts the bytes of text of all files of a data set."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._spent = 0

    def count(self, part: TripletFile, size: int) -> None:
        """`size` more bytes of a part. Raises InputError where this passes a limit."""
        self._spent += size
        limits = self.limits
        if self._spent > limits.unpacked_bytes:
            raise InputError(
                f"{part.where}: there are more than {limits.unpacked_bytes:,} bytes of text; expected less, "
                f"{limits.to_raise('unpacked_bytes')}"
            )
        if part.packed and self._spent > max(_SMALL, limits.expansion * part.packed):
            raise InputError(
                f"{part.where}: the text is over {limits.expansion:,} times as large as what it is packed in; "
                f"expected triplets, {limits.to_raise('expansion')}"
            )


def lines(part: TripletFile, meter: Meter) -> Iterator[str]:
    """The lines of a file without their ends, LF or CRLF; in N-Triples a lone CR is an end, too.

    Raises:
        EncodingError: not UTF-8, or not in the encoding that a person says.
        InputError: unreadable, damaged, or over a limit.
    """
    first, offset = 1, 0
    for block in _blocks(part, meter):
        text = _decoded(block, part.where, first, offset)
        if "\r" in text:
            text = _without_cr(text.replace("\r\n", "\n"), part, first)
        found = text.split("\n")
        if not found[-1]:
            found.pop()
        yield from found
        first += len(found)
        offset += len(block)


def content(part: TripletFile, meter: Meter) -> bytes:
    """The whole of a file that is no text. Raises InputError where it is unreadable, damaged or over a limit."""
    return b"".join(_pieces(part, meter, is_text=False))


def _without_cr(text: str, part: TripletFile, first: int) -> str:
    if part.form == "nt":
        return text.replace("\r", "\n")
    if "\r" in text:
        line = first + text.count("\n", 0, text.index("\r"))
        raise InputError(
            f"{part.where}, line {line}: the line {unprintable(chr(13))}; expected lines that end with LF or CRLF"
        )
    return text


def _blocks(part: TripletFile, meter: Meter) -> Iterator[bytes]:
    """The file in blocks of whole lines."""
    longest = max(4 * _PIECE, 16 * meter.limits.name_length)
    rest, line = b"", 1
    for piece in _as_utf_8(_pieces(part, meter), part):
        cut = piece.rfind(b"\n") + 1
        if cut:
            block = rest + piece[:cut]
            yield block
            line += block.count(b"\n")
            rest = piece[cut:]
        else:
            rest += piece
        if len(rest) > longest:
            ended = (
                "; its lines end with CR, expected LF or CRLF" if b"\r" in rest else "; expected three names"
            )
            raise InputError(f"{part.where}, line {line}: the line is over {longest:,} bytes long{ended}")
    if rest:
        yield rest


def _as_utf_8(pieces: Iterator[bytes], part: TripletFile) -> Iterator[bytes]:
    """Pieces of text in UTF-8 from those of what a person says, or of UTF-16 that begins with its mark."""
    first = next(pieces, b"")
    encoding = part.encoding or ("utf-16" if first.startswith(_UTF_16) else None)
    if encoding is None:
        yield from chain([first], pieces)
        return
    decoder = getincrementaldecoder(encoding)()
    try:
        for piece in chain([first], pieces):
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except ValueError as error:
        raise EncodingError(f"{part.where} is not {encoding}; {_EXPECTED}") from error


def _pieces(part: TripletFile, meter: Meter, is_text: bool = True) -> Iterator[bytes]:
    most = meter.limits.packed_bytes
    if part.packed > most:
        raise InputError(
            f"{part.where}: the packed file has {part.packed:,} bytes; expected at most {most:,}, "
            f"{meter.limits.to_raise('packed_bytes')}"
        )
    with _told(part):
        opened = part.open()
    with closing(opened):
        stream = gzip.GzipFile(fileobj=opened, mode="rb") if part.gzipped else opened
        begun = False
        while True:
            with _told(part):
                piece = stream.read(_PIECE)
            if not piece:
                return
            meter.count(part, len(piece))
            if is_text and not begun and (problem := _not_text(piece, part)):
                raise InputError(f"{part.where}, line 1: {problem}; {_EXPECTED}")
            begun = True
            yield piece


@contextmanager
def _told(part: TripletFile) -> Iterator[None]:
    try:
        yield
    # A damaged archive fails in many ways, deep inside zipfile, gzip and zlib.
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(
                f"{part.where} cannot be read ({error.strerror}); expected a file of triplets"
            ) from error
        if not part.packed:
            raise
        reason = printable(str(error), 80) or type(error).__name__
        raise InputError(
            f"{part.where} is damaged or not what its name says ({reason}); expected a whole file"
        ) from error


def _not_text(head: bytes, part: TripletFile) -> str | None:
    """What the first bytes say of a file that is not text, in words."""
    again = "; it is packed more than once" if part.packed else ""
    if head.startswith(b"\x1f\x8b"):
        return "this is packed by gzip" + (again or ", and its name should end with .gz")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "this is a zip archive or a document" + (again or ", and its name does not end with .zip")
    if part.encoding or head.startswith(_UTF_16):
        return None
    sample = head[:1000]
    zeros = sample[::2].count(0), sample[1::2].count(0)
    # Of ASCII in UTF-16 every other byte is zero.
    if len(sample) > 3 and max(zeros) > len(sample) // 4 > min(zeros):
        return "this is UTF-16, which editors call Unicode; save it as UTF-8"
    return None


def _decoded(block: bytes, where: str, line: int, offset: int) -> str:
    """A block as text; `line` and `offset` are those of its beginning."""
    zero = block.find(b"\0")
    if zero >= 0:
        line += block.count(b"\n", 0, zero)
        raise InputError(
            f"{where}, line {line}: byte {offset + zero + 1} of the file is zero, so it is not text; {_EXPECTED}"
        )
    try:
        text = block.decode()
    except UnicodeDecodeError as error:
        line += block.count(b"\n", 0, error.start)
        raise EncodingError(
            f"{where}, line {line}: byte {offset + error.start + 1} of the file is not UTF-8; {_EXPECTED}: "
            f"save it as UTF-8, which Excel calls “CSV UTF-8”, or say how it is encoded",
            IN_THE_TERMINAL,
        ) from error
    return text if offset else text.removeprefix("\ufeff")
