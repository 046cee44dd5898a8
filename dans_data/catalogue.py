"""The data sets that have a name here: what each is, where its files are, and what to know before believing a score."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DATASETS = {
    "umls": "UMLS",
    "kinships": "Kinships",
    "nations": "Nations",
    "wn18rr": "WN18RR",
    "nell-995": "NELL-995",
}


@dataclass(frozen=True)
class File:
    """One file of a data set as it was published.

    Attributes:
        sha256: of its bytes.
        size: bytes.
        url: where it can be downloaded; empty for what comes with the program.
        sorted_sha256: where the published order of lines is unknown, that of its distinct lines in sorted order,
            each stripped and ended by LF; a file is right if either agrees.
    """

    sha256: str
    size: int
    url: str = ""
    sorted_sha256: str = ""

    def is_right(self, file: Path) -> bool:
        """Whether a file on disk is this one. Raises OSError where it cannot be read."""
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() == self.sha256:
            return True
        return bool(self.sorted_sha256) and sorted_lines_sha256(data) == self.sorted_sha256


def sorted_lines_sha256(data: bytes) -> str:
    """The hash of a file's distinct lines whatever their order: stripped, sorted, each ended by LF."""
    lines = sorted({line.strip() for line in data.splitlines()} - {b""})
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


@dataclass(frozen=True)
class Fact:
    """A sentence that a person should know before believing a score.

    `told_by` names what says the same once the files are there and counted: kinds of a survey's findings, or "floor"
    for the popularity floor. Empty where nothing else does.
    """

    sentence: str
    told_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What is known of a data set before it is read.

    Attributes:
        title, description, origin, licence: for people; a description is one sentence.
        facts: what a person should know before believing a score on it.
        entities, relations, train, valid, test: how many; triplets are distinct.
        files: by split.
    """

    title: str
    description: str
    origin: str
    licence: str
    facts: tuple[Fact, ...]
    entities: int
    relations: int
    train: int
    valid: int
    test: int
    files: Mapping[str, File] = field(repr=False)

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """Entities, relations, and the triplets of train, valid and test."""
        return self.entities, self.relations, self.train, self.valid, self.test

    @property
    def bundled(self) -> bool:
        """Whether it comes with the program, so that it is never downloaded."""
        return not all(file.url for file in self.files.values())

    @property
    def bytes(self) -> int:
        """The size of its three files."""
        return sum(file.size for file in self.files.values())


GITHUB = "https://raw.githubusercontent.com"

_ROTATE = (
    f"{GITHUB}/DeepGraphLearning/KnowledgeGraphEmbedding/2e440e0f9c687314d5ff67ead68ce985dc446e3a/data/wn18rr"
)
_PATHCON = f"{GITHUB}/hwwang55/PathCon/55cbf5a11298504018e0cf2c10b3447583773121/data/NELL995"
_PYKEEN_LICENCE = "MIT, as part of PyKEEN; none is stated for the files themselves"

CATALOGUE: Mapping[str, Known] = {
    "umls": Known(
        title=DATASETS["umls"],
        description="Types of biomedical concepts and how they relate (UMLS semantic network).",
        origin="PyPI package pykeen 1.11.1; McCray 2003",
        licence=_PYKEEN_LICENCE,
        facts=(
            Fact(
                "Ranking by how often an entity fills a slot in train, with no model, reaches a test MRR of 0.661: "
                "compare with that, not with zero.",
                ("floor",),
            ),
            Fact(
                "97 of 661 test triplets have their reverse under the same relation in train, and 421 have their two "
                "entities linked in train, in one direction or the other.",
                ("reversed", "linked"),
            ),
            Fact("A test query has 16.5 true tails or 23.6 true heads on average, of 135 entities."),
            Fact(
                "With 1,322 test queries, a difference of 0.01 in H@1 is within chance; several seeds are needed.",
                ("few",),
            ),
        ),
        entities=135,
        relations=46,
        train=5216,
        valid=652,
        test=661,
        files={
            "train": File("873ef4925516b83e7f6f8cc02b4be51d848828710a7f65a956f0ac4a9e452f35", 260013),
            "valid": File("025c98f8a4891e2a6582ec5b40ee0d904031edad9c52554522f4b7904820c98e", 32963),
            "test": File("a7eb529a3d2810fcc96341ccc97c625a5e202f8389673aa6bd317eeebbb79014", 32968),
        },
    ),
    "kinships": Known(
        title=DATASETS["kinships"],
        description="Kinship terms between members of the Alyawarra people of central Australia.",
        origin="PyPI package pykeen 1.11.1; Denham 1973, Kemp et al. 2006",
        licence=_PYKEEN_LICENCE,
        facts=(
            Fact(
                "Ranking by how often an entity fills a slot in train, with no model, reaches a test MRR of 0.110.",
                ("floor",),
            ),
            Fact(
                "254 of 1,074 test triplets have their reverse under the same relation in train, and 875 have their "
                "two entities linked there the other way round: a kinship term nearly settles the one that answers it.",
                ("reversed", "linked"),
            ),
        ),
        entities=104,
        relations=25,
        train=8544,
        valid=1068,
        test=1074,
        files={
            "train": File("738612111a6acf0e39662bde24c7e72a4d1edf20931beea077da367dda689731", 208710),
            "valid": File("c56f8630a583178b1e569f11a64aa535ae1ce0b0912d8b1e24716be2b37f04da", 26088),
            "test": File("05e5733265761d55be9c05bfaff5a8d0808df46f9c1e9d66cc3f2fe114e43d88", 26255),
        },
    ),
    "nations": Known(
        title=DATASETS["nations"],
        description="Relations between 14 countries, 1950 to 1965.",
        origin="PyPI package pykeen 1.11.1; Rummel, Kemp et al. 2006",
        licence=_PYKEEN_LICENCE,
        facts=(
            Fact(
                "Ranking by how often an entity fills a slot in train, with no model, reaches a test MRR of 0.550.",
                ("floor",),
            ),
            Fact(
                "A test query has 6.8 true tails or 7.3 true heads on average, of 14 entities: nearly half of all."
            ),
            Fact(
                "All 201 test triplets have their two entities linked in train by other relations, and 106 have their "
                "reverse there under the same one.",
                ("reversed", "linked"),
            ),
            Fact("It is good for trying things out; its 402 test queries are too few to compare methods."),
        ),
        entities=14,
        relations=55,
        train=1592,
        valid=199,
        test=201,
        files={
            "train": File("0830fa9da8e5bba2ccdaa45b7bdc9130451ba66b09ff2708f35fccaf82473e57", 39101),
            "valid": File("2b337a62e51a2f45c283eac98a70d21b7e0e102136be1539b2a52c652a7b0530", 4851),
            "test": File("3971085165b47b6aeaec68058c6d8d98b3005e929db81268410b95ae4db770ab", 4951),
        },
    ),
    "wn18rr": Known(
        title=DATASETS["wn18rr"],
        description="WordNet: how English word senses relate, without trivial inverses.",
        origin="github DeepGraphLearning/KnowledgeGraphEmbedding; Dettmers et al. 2018",
        licence="MIT",
        facts=(
            Fact(
                "1,086 of 3,134 test triplets have their reverse under the same relation in train, and can be had by "
                "looking that up; nearly all of them are of symmetric relations.",
                ("reversed",),
            ),
            Fact(
                "384 entities never occur in train, and 210 test triplets contain one: no model can learn these. "
                "Look at the metrics over all triplets and over those seen in train.",
                ("unseen",),
            ),
            Fact("Two relations, _hypernym and _derivationally_related_form, make up 74 % of train."),
            Fact(
                "PyKEEN's own WN18RR leaves out the test triplets with an entity unseen in train (2,924 stay), so its "
                "scores do not compare with those here."
            ),
            Fact(
                "Ranking by how often an entity fills a slot in train, with no model, reaches a test MRR of 0.026.",
                ("floor",),
            ),
        ),
        entities=40943,
        relations=11,
        train=86835,
        valid=3034,
        test=3134,
        files={
            "train": File(
                "038612e783c215ee5f3ca9fbfca27b8d0739be1028fe4ee7c174aecf0b83d5df",
                3135377,
                f"{_ROTATE}/train.txt",
            ),
            "valid": File(
                "453ce7202afa58094a04d2b1560ee2b02660f1c260b32ce6651c8ccedd1028ab",
                110415,
                f"{_ROTATE}/valid.txt",
            ),
            "test": File(
                "0383bceaaa1096cf3c03ec021ed0048068e2355dbfc0239b292cefdac821cec5",
                113180,
                f"{_ROTATE}/test.txt",
            ),
        },
    ),
    "nell-995": Known(
        title=DATASETS["nell-995"],
        description="Facts that the NELL system read on the web (split of PathCon and of the DANS paper).",
        origin="github hwwang55/PathCon; Xiong et al. 2017, Wang et al. 2021",
        licence="MIT",
        facts=(
            Fact(
                "1,036 of 5,000 test triplets contain an entity that never occurs in train: no model can learn these. "
                "Look at the metrics over all triplets and over those seen in train.",
                ("unseen",),
            ),
            Fact(
                "This is the split of the DANS paper (137,465 / 5,000 / 5,000). Another one in use under the same name "
                "has 149,678 / 543 / 3,992 triplets; scores on the two do not compare."
            ),
            Fact(
                "Its train file is checked as a set of triplets: the copy behind the figures here was rebuilt and "
                "equals the published one as a set, in another order of lines, which makes no difference to a run."
            ),
            Fact(
                "556 of 5,000 test triplets have their reverse under the same relation in train.",
                ("reversed",),
            ),
            Fact(
                "Ranking by how often an entity fills a slot in train, with no model, reaches a test MRR of 0.250.",
                ("floor",),
            ),
        ),
        entities=63917,
        relations=198,
        train=137465,
        valid=5000,
        test=5000,
        files={
            "train": File(
                "833e48f33df5bb3ed631c1f9d921cc5136a9e1c909621d45aeaecc9830871732",
                8556757,
                f"{_PATHCON}/train.txt",
                sorted_sha256="550f3e42045c16285ac610d59d8b0176b2c4556f9952389684c0615053a70d7e",
            ),
            "valid": File(
                "4a5beb7dadd93b1fcac4259d6c6fc6d7ca70fcb696e4d42b06708ce1e27ebe67",
                310444,
                f"{_PATHCON}/valid.txt",
            ),
            "test": File(
                "8c407a00ac57f82d3d88a0686cfe83b262517e65abf5414f647298f68642a714",
                309225,
                f"{_PATHCON}/test.txt",
            ),
        },
    ),
}
