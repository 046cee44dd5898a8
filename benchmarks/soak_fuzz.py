"""Inputs that no one should send: each is read, or refused in a sentence, and nothing is written elsewhere."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from benchmarks.soak_visits import PAGES, visitor
from dans_app.data import upload_process
from dans_core.kg import KnowledgeGraph
from dans_data import own
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.places import OWN_NAME
from dans_data.shipped import TOP
from dans_lab.runs.folder import Shelf
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run, open_run
from dans_lab.runs.weights import load_weights
from dans_lab.study.plan import parse_plan
from tests.app.test_addresses import HOSTILE, parameters

LONGEST = 300
"""Characters of a refusal."""

_TOKENS = (
    *(
        b"1e999",
        b"NaN",
        b"-Infinity",
        b"null",
        b"[" * 60,
        b"9" * 400,
        b"\x00",
        b"\xff\xfe",
        b"../../../etc/passwd",
    ),
    *(
        b"<script>alert(1)</script>",
        b"\xe2\x80\xae",
        b'"',
        b"'''",
        b"\\u0000",
        b"{}",
        b"=",
        b"\t\t",
        b"\r",
        b"-1",
        b"true",
    ),
)
_ENDINGS = (".tsv", ".csv", ".nt", ".jsonl", ".txt", ".gz", ".zip", ".parquet", ".tsv.gz", "")


@dataclass
class Fuzzed:
    """How many inputs of each kind, how many were refused, and what should not have been."""

    cases: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)

    def refusal(self, kind: str, sentence: str) -> None:
        """One input was refused."""
        self.refused[kind] += 1
        if len(sentence) >= LONGEST:
            self.long.append(f"{kind}: {sentence[:120]} …")


def measure(cases: int, sound: Run, folder: Path, url: str, seed: int) -> Fuzzed:
    """So many inputs of eight kinds; `sound` is a run with snapshots and weights, `url` a server for addresses."""
    chance, found = random.Random(seed), Fuzzed()
    kg = sound.load_kg()
    kinds: dict[str, Callable[[random.Random, Path], None]] = {
        "TOML": lambda chance, place: _toml(chance),
        "JSON": lambda chance, place: _of_run(
            chance, sound, place, ("status.json", "config.json", "about.json")
        ),
        "event logs": lambda chance, place: _of_run(chance, sound, place, ("events.jsonl",)),
        "npz": lambda chance, place: _snapshot(chance, sound, place, kg),
        "pt": lambda chance, place: _checkpoint(chance, sound, place, kg),
        "uploads": lambda chance, place: _upload(chance),
        "names": lambda chance, place: _name(chance),
        "addresses": lambda chance, place: _address(chance, url),
    }
    before = _tree(sound.path)
    for number in range(cases):
        kind = list(kinds)[number % len(kinds)]
        place = folder / f"case-{number}"
        found.cases[kind] += 1
        try:
            kinds[kind](chance, place)
        except InputError as error:
            found.refusal(kind, str(error))
        except Exception as error:
            found.failures.append(
                f"{kind}, case {number} of seed {seed}: {type(error).__name__}: {error}"[:300]
            )
            if kind == "addresses":
                shutil.rmtree(place, ignore_errors=True)
    if changed := _tree(sound.path) ^ before:
        found.failures.append(f"written elsewhere: {sorted(str(path) for path, _ in changed)[:5]}")
    return found


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The same with one to four things wrong: bytes changed, cut, doubled, or hostile ones put in."""
    for _ in range(chance.randint(1, 4)):
        at, until = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
        match chance.randrange(6):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at]
            case 2:
                data = data[:at] + data[min(until, at + 40) :]
            case 3:
                data = data[:until] + data[at : at + 200] + data[until:]
            case _:
                data = data[:at] + chance.choice(_TOKENS) + data[at + chance.randint(0, 8) :]
    return data


def _toml(chance: random.Random) -> None:
    file = chance.choice(sorted((TOP / "assets" / "studies").glob("*.toml")))
    text = damaged(file.read_bytes(), chance).decode(errors="replace")
    parse_plan(text, "fuzzed", "fuzzed.toml")


def _copy(sound: Run, place: Path) -> Run:
    place.mkdir(parents=True)
    for file in sound.path.iterdir():
        if file.is_file() and file.suffix != ".pt":
            shutil.copy(file, place / file.name)
    return Run(place)


def _of_run(chance: random.Random, sound: Run, place: Path, names: tuple[str, ...]) -> None:
    run = _copy(sound, place / "a-run")
    file = run.path / chance.choice(names)
    before = file.read_bytes() if file.exists() else b'{"name": "a", "note": ""}'
    file.write_bytes(damaged(before, chance))
    # As the list of runs looks at it, and then as a screen does.
    look = Shelf(place).look()
    for reason in look.unreadable.values():
        raise InputError(reason)
    again = open_run(run.path)
    again.status, again.config, again.meta, again.events()


def _snapshot(chance: random.Random, sound: Run, place: Path, kg: KnowledgeGraph) -> None:
    run = _copy(sound, place / "a-run")
    epoch, file = chance.choice(sound.snapshots())
    (run.path / "snapshots").mkdir()
    (run.path / "snapshots" / file.name).write_bytes(damaged(file.read_bytes(), chance))
    Frame.of(run.load_snapshot(epoch), kg.num_entities, kg.num_relations)


def _checkpoint(chance: random.Random, sound: Run, place: Path, kg: KnowledgeGraph) -> None:
    run = _copy(sound, place / "a-run")
    which = chance.choice(("best", "last"))
    (run.path / f"{which}.pt").write_bytes(damaged((sound.path / f"{which}.pt").read_bytes(), chance))
    load_weights(run.load_checkpoint(which), kg, sound.config)


def _upload(chance: random.Random) -> None:
    rows = "".join(
        f"a{chance.randrange(9)}\tr{chance.randrange(3)}\tb{chance.randrange(9)}\n" for _ in range(60)
    )
    name = "fuzzed" + chance.choice(_ENDINGS)
    answer, _ = upload_process.read([(name, damaged(rows.encode(), chance))], "fuzzed", 0, Columns())
    if isinstance(answer, InputError):
        # Not what a file is refused for, but that its reader failed.
        assert "could not be read (" not in str(answer), str(answer)
        raise answer


def _name(chance: random.Random) -> None:
    length = chance.choice((0, 1, 3, 40, 64, 65, 5_000))
    text = "".join(
        chr(chance.choice((chance.randrange(32), chance.randrange(32, 127), chance.randrange(0xD7FF))))
        for _ in range(length)
    )
    text = chance.choice((text, f"../{text}", f"/{text}", f"{text}/..", f"-{text}"))
    mended = own.mended(text)
    assert not mended or OWN_NAME.fullmatch(mended), mended
    problem = own.name_error(text)
    assert problem is None or len(problem) < LONGEST, problem
    open_run(text)


def _address(chance: random.Random, url: str) -> None:
    names = [name for name in chance.sample(parameters(), chance.randint(1, 12)) if name != "run"]
    query = "&".join(f"{quote(name)}={quote(chance.choice(HOSTILE), errors='replace')}" for name in names)
    page = chance.choice(PAGES)
    # Who types an address begins a session.
    with visitor(url) as me:
        me.open(page, query)
        assert not me.errors, f"{me.errors[0][:60]} at {page}?{query}"


def _tree(folder: Path) -> set[tuple[Path, int]]:
    """All that lies in a folder, with the time of its last change."""
    return {(path, path.stat().st_mtime_ns) for path in folder.rglob("*")}
