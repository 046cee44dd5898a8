"""What a zip archive holds of triplets; nothing of it is ever unpacked to disk."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO

from dans_data import naming
from dans_data.errors import InputError
from dans_data.limits import Limits
from dans_data.notes import Remark
from dans_data.text import TripletFile
from dans_data.triplets import printable

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1
_PIECE = 2**20

_DOCUMENTS = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|sources?|citation|authors|about|change(log|s))\..*",
    re.IGNORECASE,
)
"""Names of text files that come with triplets and hold none."""


@contextmanager
def opened(
    stream: IO[bytes], where: str, limits: Limits
) -> Iterator[tuple[TripletFile | dict[str, TripletFile], dict[str, TripletFile], list[Remark]]]:
    """What a zip archive holds: one file of triplets or the splits, dictionaries, a note of what is left out.

    `where` names the archive in complaints. The parts can be read until the block ends.

    Raises:
        InputError: damaged, over a limit, encrypted, with links or ways out of it, or without triplets.
    """
    size = stream.seek(0, 2)
    if size > limits.packed_bytes:
        raise InputError(
            f"{where}: the packed file has {size:,} bytes; expected at most {limits.packed_bytes:,}, "
            f"{limits.to_raise('packed_bytes')}"
        )
    # Before zipfile makes objects of them all; what the archive says of itself may be wrong.
    if _entries(stream) > limits.members:
        raise InputError(
            f"{where} holds more than {limits.members:,} files; expected fewer, {limits.to_raise('members')}"
        )
    try:
        archive = zipfile.ZipFile(stream)
    # A damaged archive fails in many ways, deep inside zipfile.
    except Exception as error:
        raise InputError(
            f"{where} is damaged or no zip archive ({printable(str(error), 80)}); expected a whole file"
        ) from error
    with archive:
        for member in archive.infolist():
            if problem := _problem(member):
                name = printable(member.orig_filename, 80)
                raise InputError(f'{where}: "{name}" {problem}; expected plain files of triplets')
        chosen, dictionaries, left_out = _chosen(archive.infolist(), where)

        def part(member: zipfile.ZipInfo) -> TripletFile:
            name = member.filename
            return TripletFile(
                f"{where}, {printable(name, 200)}", naming.form_of(name), partial(archive.open, member), size
            )

        parts = (
            part(chosen) if isinstance(chosen, zipfile.ZipInfo) else {s: part(m) for s, m in chosen.items()}
        )
        yield parts, {kind: part(member) for kind, member in dictionaries.items()}, left_out


def _entries(stream: IO[bytes]) -> int:
    """At most how many members zipfile can find."""
    stream.seek(0)
    count, rest = 0, b""
    while piece := stream.read(_PIECE):
        count += (rest + piece).count(_ENTRY)
        rest = piece[-len(_ENTRY) + 1 :]
    stream.seek(0)
    return count


def _problem(member: zipfile.ZipInfo) -> str | None:
    """Why an archive with this member is refused, in words."""
    name = member.orig_filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    if name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        return "leads out of the archive"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is no plain file"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted, and no password can be given"
    if name.lower().endswith(naming.PACKERS):
        return "is an archive inside an archive"
    if member.compress_type not in _METHODS:
        return "is packed in a way that is not read here (only deflate is)"
    return None


def _chosen(
    members: Sequence[zipfile.ZipInfo], where: str
) -> tuple[zipfile.ZipInfo | dict[str, zipfile.ZipInfo], dict[str, zipfile.ZipInfo], list[Remark]]:
    """The members to read, those that name ids, and a note of what is left out."""
    files = [member for member in members if not member.is_dir() and not _hidden(member.filename)]
    candidates = [
        file
        for file in files
        if (naming.is_listed(file.filename) or naming.split_of(file.filename))
        and not naming.dictionary_of(file.filename)
        and not _DOCUMENTS.fullmatch(naming.base(file.filename))
    ]
    dictionaries: dict[str, zipfile.ZipInfo] = {}
    folders = dict.fromkeys(_folder(file) for file in candidates if naming.split_of(file.filename))
    chosen: zipfile.ZipInfo | dict[str, zipfile.ZipInfo]
    if len(folders) > 1:
        named = ", ".join(f'"{printable(folder, 80)}"' for folder in list(folders)[:3])
        raise InputError(f"{where} has train, valid or test in more than one folder ({named}); expected one")
    if folders:
        chosen = naming.by_split(
            ((file.filename, file) for file in candidates if _folder(file) in folders), where
        )
        beside = [(file.filename, file) for file in files if _folder(file) in folders]
        dictionaries = naming.by_dictionary(beside, where)
        taken = [*chosen.values(), *dictionaries.values()]
    elif len(candidates) == 1:
        chosen = candidates[0]
        taken = candidates
    else:
        named = ", ".join(printable(file.filename, 80) for file in (candidates or files)[:3])
        found = f"{len(candidates):,} files of triplets" if candidates else "no file of triplets"
        raise InputError(
            f"{where} holds {found}{f' ({named})' if named else ''}; expected train, valid and test, or exactly one "
            "file of triplets (.txt, .tsv, .csv, .nt, .nq, .ttl, .rdf, .jsonl or .parquet)"
        )
    names = [printable(file.filename, 80) for file in files if file not in taken]
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    if not names:
        return chosen, dictionaries, []
    return chosen, dictionaries, [Remark(f"left out of {naming.base(where)}: {', '.join(names[:3])}{more}")]


def _folder(member: zipfile.ZipInfo) -> str:
    return member.filename[: -len(naming.base(member.filename))]


def _hidden(name: str) -> bool:
    """Whether a member is for a file manager rather than for people."""
    parts = name.split("/")
    return (
        "__MACOSX" in parts
        or any(part.startswith(".") for part in parts)
        or parts[-1] in ("Thumbs.db", "desktop.ini")
    )
