"""Hundreds of broken, odd and hostile files: each gives a graph or one plain sentence, and nothing is ever written."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import random
import shutil
import stat
import tarfile
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dans_core.kg import KnowledgeGraph
from dans_data import Limits, from_uploads, load
from dans_data.errors import InputError
from tests.examples import examples

GRAPH, REFUSED, EITHER = "a graph", "refused", "either"

ROWS = [(f"e{i % 5}", f"r{i % 2}", f"e{i % 7}") for i in range(40)]
TSV = "".join("\t".join(row) + "\n" for row in ROWS).encode()
CSV = TSV.replace(b"\t", b",")
NT = "".join(f"<{h}> <{r}> <{t}> .\n" for h, r, t in ROWS).encode()
GOOD = {".tsv": TSV, ".csv": CSV, ".nt": NT}

NOT_IN_NAMES = [
    *(chr(code) for code in range(0x20) if chr(code) not in "\t\n\r"),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u2028\u2029\ufeff",
]
TURNING = [chr(c) for c in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
UNUSUAL = [
    *("<script>alert(1)</script>", "<b>bold</b>&amp;", "javascript:alert(1)", "'; drop table runs; --"),
    *("=1+1", "../../etc/passwd", "$(reboot)", "{{7*7}}", "%s%n", "\\u0000", "::ffff", "*_`~[x](y)$z$"),
    *(
        "naïve",
        "中文",
        "ا ب",
        "👩‍👩‍👧",
        "e\u0301",
        "\u00e9",
        "a" * 1000,
        "a\u00a0b",
        "O'Neil",
        "-",
        "nan",
        "None",
        "1e309",
    ),
]


BAD_TSV = (
    "a b c",
    "a\tb",
    "a\tb\tc\td",
    "\tr\tb",
    "a\t\tb",
    "a\tr\t",
    "\t\t",
    " \t \t ",
    "a\tr\t\t",
    "a,r,b",
)
BAD_CSV = ('"a,r,b', '"a"x,r,b', "a,r", "a,r,b,c", '"",r,b', '"a\nb",r,c', "a;r;b", '"')
BAD_NT = r"""
<a> <b> <c>
<a> <b> .
<a> "b" <c> .
<a> _:b <c> .
"a" <b> <c> .
<a b> <b> <c> .
<a> <b> <c .
<a> <b> "c .
<a> <b> "c"@ .
<a> <b> "c"@en-.
<a> <b> "c"^^d .
_: <b> <c> .
_:.a <b> <c> .
<a\u00> <b> <c> .
<a\n> <b> <c> .
<a\uD800> <b> <c> .
<\U00110000> <b> <c> .
<> <b> <c> .
<a> <b> "\x" .
<_:x> <b> <c> .
<a\u0020> <b> <c> .
<a> <b> <c> . <d>
<a> <b> <c>. .
<a{}> <b> <c> .
<a> <b> 'c' .
<a> <b> 1 .
<a> a <c> .
<<a>> <b> <c> .
a b c .
@prefix : <x> .
<a> <r⁻¹> <c> .
""".strip().splitlines()
GOOD_NT = r"""
# é ✓

   # indented
<a> <b> "x\ty"@en-GB .
<a> <b> "1"^^<int> .#
_:b1 <r0> _:b.c .
<a><b><c>.
<a>	<b>	<\u00e9\U0001F600> . # comment
""".strip().splitlines()


@dataclass(frozen=True)
class Case:
    """Bytes under a name, or what makes an odd thing of a path; and what must come of it."""

    name: str
    content: bytes | Callable[[Path], object]
    expected: str = REFUSED


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def member(name: str, data: bytes = TSV, mode: int = stat.S_IFREG | 0o644, beside: bool = True) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, data)
        if beside:
            archive.writestr("kg.tsv", TSV)
    return stream.getvalue()


def texts() -> Iterator[Case]:
    """Text that is fine as .tsv, .csv and .nt but for one thing."""
    text = TSV.decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        for ending, good in GOOD.items():
            # UTF-16 begins with a mark, if no byte order is asked for.
            expected = GRAPH if encoding == "utf-16" else REFUSED
            yield Case(f"{encoding}{ending}", good.decode().encode(encoding), expected)
    for encoding in ("latin-1", "cp1252", "shift-jis", "gbk", "koi8-r", "cp437"):
        word = {"shift-jis": "東京", "gbk": "北京", "koi8-r": "мир"}.get(encoding, "café")
        for ending, (row, good) in {".txt": ("{}\tr\tb\n", TSV), ".csv": ("{},r,b\n", CSV)}.items():
            yield Case(f"{encoding}{ending}", good + row.format(word).encode(encoding))
        yield Case(f"{encoding}.nt", NT + f"<{word}> <r> <b> .\n".encode(encoding))
    for ending, good in GOOD.items():
        yield Case(f"bom{ending}", b"\xef\xbb\xbf" + good, GRAPH)
        yield Case(f"two boms{ending}", b"\xef\xbb\xbf" * 2 + good)
        for place in (0, 1, len(good) // 2, len(good)):
            yield Case(f"zero at {place}{ending}", good[:place] + b"\0" + good[place:])
        yield Case(f"zeros alone{ending}", b"\0" * 1000)
        yield Case(f"cut character{ending}", good + "é".encode()[:1])
        yield Case(f"overlong{ending}", good + b"\xc0\xaf\tr\tb\n")
        yield Case(f"surrogate in utf-8{ending}", good + b"\xed\xa0\x80\tr\tb\n")
        yield Case(f"empty{ending}", b"")
        yield Case(f"blank{ending}", b"\n \n\n   \n")
        yield Case(f"only a bom{ending}", b"\xef\xbb\xbf")
        yield Case(f"crlf{ending}", good.replace(b"\n", b"\r\n"), GRAPH)
        yield Case(f"no end{ending}", good.rstrip(b"\n"), GRAPH)
        yield Case(f"lone cr{ending}", good.replace(b"\n", b"\r"), GRAPH if ending == ".nt" else REFUSED)
        yield Case(f"one cr{ending}", good + b"\r" + good, GRAPH if ending == ".nt" else REFUSED)
        yield Case(f"ten megabytes in a line{ending}", good + b"x" * 10**7 + b"\n" + good)
        yield Case(f"ten megabytes without end{ending}", b"x" * 10**7)
        yield Case(f"one triplet{ending}", good.splitlines(keepends=True)[0] * 50)
        yield Case(f"gzip{ending}", gzip.compress(good))
        yield Case(f"zip{ending}", packed({"kg.tsv": good}))
        yield Case(f"png{ending}", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
        yield Case(f"pdf{ending}", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        yield Case(f"html{ending}", b"<!DOCTYPE html>\n<html><body>404</body></html>\n")
        yield Case(f"json{ending}", b'[{"head": "a", "relation": "r", "tail": "b"}]\n')
    for number, line in enumerate(BAD_TSV):
        yield Case(f"line {number}.txt", f"{text}{line}\n".encode())
    yield Case("header only.tsv", b"head\trelation\ttail\n")
    yield Case("header.tsv", b"Subject\tPredicate\tObject\n" + TSV, GRAPH)
    yield Case("header only.csv", b"head,relation,tail\n")
    yield Case("header.csv", b"Subject,Predicate,Object\n" + CSV, GRAPH)
    yield Case("quotes.tsv", TSV + b'"a\tr\'\tb"\n', GRAPH)
    yield Case("reciprocal.tsv", TSV + "a\tr⁻¹\tb\n".encode())
    yield Case("long name.tsv", TSV + b"a\tr\t" + b"b" * 1001 + b"\n")
    for number, row in enumerate(BAD_CSV):
        yield Case(f"row {number}.csv", CSV + row.encode() + b"\n")
    yield Case("open quote.csv", b'"' + CSV * 4000)
    yield Case("no relation.csv", b"source,weight,target\n" + CSV)
    yield Case("both delimiters.csv", b"a,r;s,b\n" * 1 + b"x;y,r,z;b\n" * 20)
    yield Case("tabs.csv", TSV, GRAPH)
    for number, line in enumerate(BAD_NT):
        yield Case(f"line {number}.nt", NT + line.encode() + b"\n")
    for number, line in enumerate(GOOD_NT):
        yield Case(f"fine {number}.nt", NT + line.encode() + b"\n", GRAPH)


def characters() -> Iterator[Case]:
    """Characters that no name may contain, and names that look bad and are fine, in every form."""
    for bad in NOT_IN_NAMES + TURNING:
        code = f"U+{ord(bad):04X}"
        yield Case(f"head {code}.tsv", TSV + f"a{bad}b\tr\tc\n".encode())
        yield Case(f"relation {code}.csv", CSV + f'a,"r{bad}",c\n'.encode())
        yield Case(f"tail {code}.nt", NT + f"<a> <r> <\\u{ord(bad):04X}> .\n".encode())
    for bad in TURNING:
        yield Case(f"raw U+{ord(bad):04X}.nt", NT + f"<a> <r> <c{bad}> .\n".encode())
    for number, name in enumerate(UNUSUAL):
        yield Case(f"unusual {number}.tsv", TSV + f"{name}\t{name}\t{name}\n".encode(), GRAPH)
        quoted = '"' + name.replace('"', '""') + '"'
        yield Case(f"unusual {number}.csv", CSV + f"{quoted},{quoted},{quoted}\n".encode(), GRAPH)
        escaped = "".join(f"\\U{ord(character):08X}" for character in name)
        yield Case(f"unusual {number}.nt", NT + f"<{escaped}> <{escaped}> <{escaped}> .\n".encode(), GRAPH)


def gzips() -> Iterator[Case]:
    whole = gzip.compress(TSV, mtime=0)
    for length in range(1, len(whole), 7):
        yield Case(f"cut at {length}.tsv.gz", whole[:length])
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 0x15
        yield Case(f"byte {place}.tsv.gz", bytes(flipped), EITHER)
    yield Case("whole.tsv.gz", whole, GRAPH)
    yield Case("WHOLE.TSV.GZ", whole, GRAPH)
    yield Case("two members.csv.gz", gzip.compress(CSV[:40]) + gzip.compress(CSV[40:]), GRAPH)
    yield Case("zeros after.tsv.gz", whole + b"\0" * 100, GRAPH)
    yield Case("rubbish after.tsv.gz", whole + b"rubbish")
    yield Case("not gzip.tsv.gz", TSV)
    yield Case("empty.tsv.gz", b"")
    yield Case("empty inside.tsv.gz", gzip.compress(b""))
    yield Case("gzip in gzip.tsv.gz", gzip.compress(whole))
    yield Case("gzip in gzip.tsv.gz.gz", gzip.compress(whole))
    yield Case("zip in gzip.tsv.gz", gzip.compress(packed({"kg.tsv": TSV})))
    yield Case("zip.zip.gz", gzip.compress(packed({"kg.tsv": TSV})))
    yield Case("bomb of blank lines.tsv.gz", gzip.compress(b"\n" * 3_000_000))
    yield Case("bomb of triplets.tsv.gz", gzip.compress(b"a\tr\tb\n" * 500_000, 1))
    yield Case("bomb of one name.tsv.gz", gzip.compress(b"a" * 3_000_000))
    yield Case("bomb of zeros.tsv.gz", gzip.compress(b"\0" * 3_000_000))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        info = tarfile.TarInfo("kg.tsv")
        info.size = len(TSV)
        archive.addfile(info, io.BytesIO(TSV))
    for name in ("tar.tar.gz", "tar.tgz", "tar.tsv.gz"):
        yield Case(name, tar.getvalue())


def zips() -> Iterator[Case]:
    splits = {f"kg/{split}.tsv": TSV for split in ("train", "valid", "test")}
    whole = packed(splits)
    for length in range(0, len(whole), 11):
        yield Case(f"cut at {length}.zip", whole[:length])
    rng = random.Random(0)
    for number in range(120):
        flipped = bytearray(whole)
        for _ in range(1 + number % 3):
            flipped[rng.randrange(len(whole))] = rng.randrange(256)
        yield Case(f"changed {number}.zip", bytes(flipped), EITHER)
    yield Case("three.zip", whole, GRAPH)
    yield Case("one.zip", packed({"some/where/kg.csv": CSV}), GRAPH)
    yield Case("after a program.zip", b"#!/bin/sh\nexit\n" + whole, GRAPH)
    yield Case("macos.zip", packed({**splits, "__MACOSX/kg/._train.tsv": b"\0", ".DS_Store": b"\0"}), GRAPH)
    yield Case("stored.zip", packed(splits, zipfile.ZIP_STORED), GRAPH)
    for name, method in {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.items():
        yield Case(f"{name}.zip", packed(splits, method))
    yield Case("nothing.zip", packed({}))
    yield Case("folders.zip", packed({"kg/": b"", "kg/train.tsv/": b""}))
    yield Case("readme.zip", packed({"README.txt": b"hello"}))
    yield Case("two.zip", packed({"a.tsv": TSV, "b.tsv": TSV}))
    yield Case("no test.zip", packed({"train.tsv": TSV, "valid.tsv": TSV}), GRAPH)
    yield Case("two folders.zip", packed({**splits, "other/train.tsv": TSV}))
    yield Case("two trains.zip", packed({**splits, "kg/train.csv": CSV}))
    yield Case("empty valid.zip", packed({**splits, "kg/valid.tsv": b""}), GRAPH)
    for number, name in enumerate(
        ("../kg.txt", "kg/../../x.txt", "/etc/x.txt", "C:\\x.txt", "..\\x.txt", "\\x.txt", "a\\..\\x.txt")
    ):
        yield Case(f"way out {number}.zip", member(name))
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK):
        for beside in (True, False):
            yield Case(f"kind {kind:o} {beside}.zip", member("x.tsv", b"/etc/passwd", kind | 0o777, beside))
    for name in ("x.zip", "x.tsv.gz", "x.tar", "x.7z", "x.rar", "x.tgz", "X.ZIP"):
        yield Case(f"nested {name.replace('.', '')}.zip", member(name, packed({"kg.tsv": TSV})))
    yield Case("nested under another name.zip", packed({"kg.tsv": packed({"kg.tsv": TSV})}))
    for bad in ("a\nb", "a\x1b[31m", "a\u202eb", "é" * 5000):
        yield Case(f"member {len(bad)} {ord(bad[1]):x}.zip", packed({f"{bad}.tsv": TSV[:20], "kg.tsv": TSV}))
    encrypted = bytearray(packed({"kg.tsv": TSV}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + place] |= 1
    yield Case("encrypted.zip", bytes(encrypted))
    yield Case("many.zip", packed({f"{i}.md": b"" for i in range(1001)}))
    yield Case("bomb.zip", packed({"kg.tsv": b"a\tr\tb\n" * 500_000}))
    yield Case("bomb of zeros.zip", packed({"train.tsv": b"\0" * 3_000_000}))
    small = bytearray(packed({"kg.tsv": b"\n" * 3_000_000}))
    small[small.index(b"PK\x01\x02") + 24 :][:4] = (1000).to_bytes(4, "little")
    yield Case("bomb that lies.zip", bytes(small))
    for ending in ("xlsx", "json", "ttl", "rdf", "parquet", "7z", "rar", "tar", "xml", "bz2", "xz"):
        yield Case(f"foreign.{ending}", TSV)


def places() -> Iterator[Case]:
    """What stands where a file should be."""
    yield Case("folder.tsv", Path.mkdir)
    yield Case("pipe.tsv", os.mkfifo)
    yield Case("pipe.zip", os.mkfifo)
    for device in ("/dev/zero", "/dev/null", "/dev/stdin", "/dev/tty", "/dev/random"):
        yield Case(f"{device[5:]}.tsv", lambda path, device=device: path.symlink_to(device))
    yield Case("memory.tsv", lambda path: path.symlink_to("/proc/self/mem"))
    yield Case("memory.zip", lambda path: path.symlink_to("/proc/self/mem"))
    yield Case("memory.tsv.gz", lambda path: path.symlink_to("/proc/self/mem"))
    yield Case("loop.tsv", lambda path: path.symlink_to(path))
    yield Case("nowhere.tsv", lambda path: path.symlink_to("nowhere at all"))
    yield Case("absent.tsv", lambda path: None)
    yield Case("a\nb.tsv", b"a\tb\n")
    yield Case("a\u202eb.tsv", b"a\tb\n")
    yield Case("a\x1b[31mb.tsv", b"a\tb\n")
    yield Case("\udcff.tsv", b"a\tb\n")
    yield Case("\udcff.zip", b"a\tb\n")
    yield Case("a\nb.txt", TSV, GRAPH)
    yield Case("-.tsv", TSV, GRAPH)
    yield Case("no ending", TSV, GRAPH)
    for broken in ("train", "valid", "test"):
        for what, make in {"folder": Path.mkdir, "pipe": os.mkfifo, "nothing": lambda path: None}.items():

            def folder(path: Path, broken: str = broken, make: Callable[[Path], object] = make) -> None:
                path.mkdir()
                for split in ("train", "valid", "test"):
                    file = path / f"{split}.txt"
                    make(file) if split == broken else file.write_bytes(TSV)

            # What train does not hold is taken from it.
            taken = what == "nothing" and broken != "train"
            yield Case(f"kg with {what} {broken}", folder, GRAPH if taken else REFUSED)
        for ending, data in {
            ".csv": b"a,b\n",
            ".nt": b"a b c\n",
            ".tsv.gz": TSV,
            ".tsv": b"",
            ".txt": b"\xff",
        }.items():

            def mixed(path: Path, broken: str = broken, ending: str = ending, data: bytes = data) -> None:
                path.mkdir()
                for split in ("train", "valid", "test"):
                    other = path / f"{split}.tsv"
                    (path / f"{split}{ending}").write_bytes(data) if split == broken else other.write_bytes(
                        TSV
                    )

            # An empty valid file says: without.
            without = (ending, broken) == (".tsv", "valid")
            yield Case(f"kg with {ending[1:]} {broken}", mixed, GRAPH if without else REFUSED)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder with its kind and size."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_size)
        for path in folder.rglob("*")
    }


def judged(read: Callable[[], KnowledgeGraph], named: str) -> str:
    """What came of it; a refusal must be fit to be shown."""
    try:
        graph = read()
    except InputError as error:
        sentence = str(error)
        assert named in sentence
        assert sentence.isprintable() and "Traceback" not in sentence and len(sentence) < 1200
        return REFUSED
    assert graph.num_entities and graph.hash
    assert not [
        name for name in graph.entities + graph.relations if set(name) & {*NOT_IN_NAMES, *TURNING, "\t"}
    ]
    return GRAPH


def escaped(name: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with all folders that a program may write to, empty."""
    for variable in (
        "HOME",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "DANS_CACHE_DIR",
        "DANS_RUNS_DIR",
    ):
        monkeypatch.setenv(variable, str(tmp_path / variable))
        (tmp_path / variable).mkdir()
    for variable in ("DANS_LIMITS", "DANS_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def check(case: Case, world: Path) -> None:
    path = world / case.name
    if callable(case.content):
        case.content(path)
    else:
        path.write_bytes(case.content)
    before = tree(world)
    found = {"from a path": judged(lambda: KnowledgeGraph.load(path), escaped(str(path)))}
    if isinstance(case.content, bytes):
        content = case.content
        found["from an upload"] = judged(
            lambda: KnowledgeGraph.from_names(from_uploads([(case.name, content)], "kg").splits, "kg"),
            escaped(case.name),
        )
    assert tree(world) == before
    assert len(set(found.values())) == 1, found
    assert case.expected in (EITHER, *found.values()), f"{case.name}: {found}"
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def test_a_graph_or_a_sentence(world: Path) -> None:
    seen = set()
    counted: Counter[str] = Counter()
    for case in itertools.chain(texts(), characters(), gzips(), zips(), places()):
        assert case.name not in seen
        seen.add(case.name)
        check(case, world)
        counted[case.expected] += 1
    assert counted[REFUSED] >= 500 and counted[GRAPH] >= 90


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["kg.tsv", "kg.tsv.gz", "kg.zip"])
def test_a_closed_file(world: Path, name: str) -> None:
    check(Case(name, lambda path: (path.write_bytes(TSV), path.chmod(0))), world)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_closed_folder(world: Path) -> None:
    (world / "kg").mkdir(0o300)
    with pytest.raises(InputError, match="kg cannot be read"):
        load(world / "kg")


@given(
    st.binary(max_size=300), st.sampled_from([".txt", ".csv", ".nt", ".tsv.gz", ".csv.gz", ".nt.gz", ".zip"])
)
@examples(150)
def test_any_bytes(data: bytes, ending: str) -> None:
    name = f"any{ending}"
    assert judged(lambda: KnowledgeGraph.from_names(from_uploads([(name, data)], "kg").splits, "kg"), name)


@given(
    st.text(alphabet='ab,;"\t\n\r <>_:.#@\\u0é\u202e\ufeff', max_size=80),
    st.sampled_from([".txt", ".csv", ".nt"]),
    st.booleans(),
)
@examples(200)
def test_text_nearly_right(text: str, ending: str, first: bool) -> None:
    good = GOOD.get(ending, TSV)
    data = text.encode() + b"\n" + good if first else good + text.encode()
    name = f"any{ending}"
    assert judged(lambda: KnowledgeGraph.from_names(from_uploads([(name, data)], "kg").splits, "kg"), name)


@given(st.data())
@examples(60)
def test_damaged_archives(data: st.DataObject) -> None:
    name, whole = data.draw(
        st.sampled_from(
            [
                ("kg.tsv.gz", gzip.compress(TSV, mtime=0)),
                ("kg.zip", packed({"kg.tsv": TSV, "kg/README": b"hello"})),
            ]
        )
    )
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
        damaged[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for bad in (bytes(damaged), whole[:cut], whole[cut:]):
        assert judged(
            lambda bad=bad: KnowledgeGraph.from_names(from_uploads([(name, bad)], "kg").splits, "kg"), name
        )


def test_a_bomb_is_put_out_early() -> None:
    """What would become 300 MB is refused after a few, and is never held as a whole."""
    bomb = gzip.compress(b"\n" * 10**7, 9) * 30
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="over 10 times as large as what it is packed in"):
            from_uploads([("kg.tsv.gz", bomb)], "kg", limits=Limits(expansion=10))
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
