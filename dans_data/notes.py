"""What is noted of a data set as it is read and numbered: records of figures, each worded here and nowhere else.

`str` of a note is a clause, without a capital letter or a full stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Remark:
    """How a file was read, or what a person's data set was noted to be when it was added, in words."""

    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Doubt:
    """What makes it doubtful that a table was read rightly: about its "header", or the "order" of its columns."""

    file: str
    about: Literal["header", "order"]
    words: str

    def __str__(self) -> str:
        return f"{self.file}: {self.words}"


@dataclass(frozen=True)
class SplitHere:
    """One file was split here; `sizes` are the triplets of train, valid and test."""

    sizes: tuple[int, int, int]
    seed: int

    def __str__(self) -> str:
        sizes = " / ".join(f"{size:,}" for size in self.sizes)
        return (
            f"one file, split here into train / valid / test {sizes} by split seed {self.seed}, "
            "every name occurring in train"
        )


@dataclass(frozen=True)
class SplitsTaken:
    """Splits without a file of their own, for which some of train were taken here; `sizes` by split."""

    sizes: Mapping[str, int]
    seed: int

    def __str__(self) -> str:
        missing = " and ".join(self.sizes)
        sizes = " and ".join(f"{size:,}" for size in self.sizes.values())
        return (
            f"no file for {missing}: {sizes} of train's triplets taken for it here by split seed {self.seed}"
        )


@dataclass(frozen=True)
class Duplicates:
    """Triplets that stood in a file or a split before, and were dropped."""

    place: str
    count: int

    def __str__(self) -> str:
        return f"duplicate triplets dropped from {self.place}: {self.count:,}"


@dataclass(frozen=True)
class EmptySplit:
    """A split without triplets."""

    split: str

    def __str__(self) -> str:
        consequence = ", so training keeps the last weights" if self.split == "valid" else ""
        return f"{self.split} is empty{consequence}"


@dataclass(frozen=True)
class Overlap:
    """Triplets that stand in two splits."""

    first: str
    second: str
    count: int

    def __str__(self) -> str:
        return f"triplets in both {self.first} and {self.second}: {self.count:,}"


@dataclass(frozen=True)
class UnseenEntities:
    """Entities that train never shows, and how many triplets of each other split have one."""

    count: int
    triplets: Mapping[str, int]

    def __str__(self) -> str:
        touched = ", ".join(f"{count:,} {split}" for split, count in self.triplets.items())
        return f"entities that never occur in train: {self.count:,}; triplets with one: {touched}"


@dataclass(frozen=True)
class UnseenRelations:
    """Relations that train never shows."""

    count: int

    def __str__(self) -> str:
        return f"relations that never occur in train: {self.count:,}"


ReadingNote = Remark | Doubt | SplitHere | SplitsTaken | Duplicates
"""What is noted as files are read."""

GraphNote = Duplicates | EmptySplit | Overlap | UnseenEntities | UnseenRelations
"""What is noted as a graph is built; `dans_lab.survey` counts the same and says more of it."""

Note = ReadingNote | GraphNote
