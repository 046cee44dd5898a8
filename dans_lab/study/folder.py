"""The folder of a study: its plan, what it ran on, and one record for each finished run; nothing here needs torch.

studies/NAME/
  study.toml      the plan, as it was last asked for
  study.json      data set and its hash, versions, machine, the estimate and the time it took
  records/        RUN.json, one for each run that is over; or records.zip, the same files packed
  study.lock      held by the process that runs the study
  session.json    who runs it, and control.json, what a viewer asks of it (`session`)
  log.txt         what a process said that the app started
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from dans_data.complaints import first_problem
from dans_data.errors import InputError
from dans_data.shipped import TOP
from dans_lab.runs import bounded
from dans_lab.runs.records import Record, read
from dans_lab.runs.run import STUDIES, runs_dir
from dans_lab.study.plan import Plan, parse_plan

RESULTS = TOP / "results"
"""The folder of the studies that come with the program: results/DATASET/NAME, or results/NAME of a study alone there.

A study named after its data set stands in the folder of that data set itself, as results/wn18rr.
"""


class RunRecord(Record):
    """What a study keeps of one run; enough for every table and figure without the run itself.

    run, seed          its id among the runs, and its seed
    state, reason      "failed" is a run that diverged, and the reason says when
    seconds            of training, with ranking and diagnostics
    best_epoch         of the highest valid MRR, from which the metrics below come
    valid, test        mrr, hits_at_1, hits_at_3, hits_at_10, ndcg_at_5, filtered, both sides
    ranks              twice the test rank of each triplet's tail and head, whole numbers as ties count half
    curves             "epoch" and, at these epochs, "seconds" of training until then (without rankings and checks),
                       "valid_mrr" and losses by their names in `Losses`; records of before have no seconds
    figures            numbers about the way there, such as those of `convergence`
    """

    run: str
    seed: int
    state: Literal["finished", "failed"]
    reason: str = ""
    seconds: float = Field(ge=0)
    best_epoch: int | None = None
    valid: dict[str, float] = Field(default_factory=dict)
    test: dict[str, float] = Field(default_factory=dict)
    ranks: list[tuple[int, int]] = Field(default_factory=list)
    curves: dict[str, list[float | None]] = Field(default_factory=dict)
    figures: dict[str, float] = Field(default_factory=dict)


class StudyRecord(Record):
    """What a study ran on.

    `estimate` is what was said before the first run began, in seconds, and `took` the time spent since, over all
    sessions; None where not known. `workers` is in words ("2 processes"), `machine` the processor's name. `floor` has
    the test metrics of ranking by popularity, without any model.

    `seen` has a character for each test triplet, in the order of a record's ranks: 1 where both entities occur in
    train. It is "" where all do, and `floor_seen` is empty then; else it has the floor over these triplets. `counts`
    are those of entities, relations, and triplets of each split; empty in studies of before. `expected` has the seconds
    of each kind of run as timed before, so that who goes on with a study need not time them again. `made_for` are the
    training triplets of the graph whose size decided what the plan leaves open; 0 in studies of before, where that has
    its defaults on graphs of any size.

    `halves` has a character for each test triplet, in the order of a record's ranks: how many of its halves train shows
    (`dans_lab.halves`). `floor_halves` has the MRR of the floor over those with 2, 1 or 0, by this number as text. Both
    are empty in studies of before.
    """

    dataset: str
    source: str
    hash: str
    created: str
    versions: dict[str, str]
    machine: str = ""
    workers: str = ""
    estimate: float | None = None
    took: float | None = None
    floor: dict[str, float] = Field(default_factory=dict)
    floor_seen: dict[str, float] = Field(default_factory=dict)
    seen: str = Field(default="", pattern="^[01]*$")
    counts: dict[str, int] = Field(default_factory=dict)
    expected: dict[str, float] = Field(default_factory=dict)
    made_for: int = Field(default=0, ge=0)
    halves: str = Field(default="", pattern="^[012]*$")
    floor_halves: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A study to read: a folder in the format above."""

    path: Path

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name

    @property
    def shipped(self) -> bool:
        """Whether it came with the program, which has its records and not its runs."""
        return RESULTS.resolve() in self.path.resolve().parents

    @property
    def key(self) -> str:
        """What no other study is known by: its name, of a shipped one with its data set, as "umls/main"."""
        if not self.shipped:
            return self.name
        return f"{self.path.resolve().relative_to(RESULTS.resolve()).parts[0]}/{self.name}"

    @cached_property
    def plan(self) -> Plan:
        """What was asked for, with settings for the graph it runs on."""
        file = self.path / "study.toml"
        text = bounded.text(file)
        return parse_plan(text, self.name, str(file), self._made_for())

    def _made_for(self) -> int:
        # Whoever needs study.json says what is wrong with it; the tables can be read without.
        try:
            return self.meta.made_for
        except InputError:
            return 0

    @cached_property
    def meta(self) -> StudyRecord:
        """What it ran on."""
        return read(self.path / "study.json", StudyRecord)

    def finished(self) -> set[str]:
        """The ids of the runs that have a record; no record is read."""
        return {file.name.removesuffix(".json") for file in self._files()}

    def records(self) -> dict[str, RunRecord]:
        """Every record by the id of its run.

        Raises InputError for one that is damaged.
        """
        return {file.name.removesuffix(".json"): _record(file) for file in self._files()}

    def _files(self) -> list[Path | zipfile.Path]:
        folder, packed = self.path / "records", self.path / "records.zip"
        try:
            if packed.is_file():
                inside = zipfile.Path(packed).iterdir()
                return [file for file in inside if file.name.endswith(".json")]
            return [file for file in folder.iterdir() if _is_record(file)]
        except FileNotFoundError:
            return []
        except (OSError, zipfile.BadZipFile):
            raise InputError(f"the records of study {self.name} in {self.path} cannot be read") from None


def _is_record(file: Path) -> bool:
    return file.suffix == ".json" and not file.name.startswith(".")


def _record(file: Path | zipfile.Path) -> RunRecord:
    try:
        data = (
            bounded.content(file, bounded.STUDY_RECORD_BYTES) if isinstance(file, Path) else file.read_bytes()
        )
        return RunRecord.model_validate_json(data)
    except ValidationError as error:
        raise InputError(f"{file}: {first_problem(error)}") from None
    except (OSError, zipfile.BadZipFile, zlib.error):
        raise InputError(f"{file} cannot be read") from None


def studies_dir() -> Path:
    """Where studies are kept: the folder "studies" among the runs."""
    return runs_dir() / STUDIES


def list_studies() -> list[Study]:
    """The studies of this machine by name, then those that come with the program as below; unreadable too."""
    own = [file.parent for file in sorted(studies_dir().glob("*/study.toml"))]
    return [Study(path) for path in (*own, *shipped_studies())]


def shipped_studies() -> list[Path]:
    """The folders of the studies that come with the program.

    First those of all samplers by the present recipe, of UMLS before the others, as every screen begins with it; then
    main tables.
    """
    folders = {file.parent for pattern in ("*", "*/*") for file in RESULTS.glob(f"{pattern}/study.toml")}

    def place(path: Path) -> tuple[object, ...]:
        return not path.name.startswith("samplers-"), path.parent.name != "umls", path.name != "main", path

    return sorted(folders, key=place)


def open_study(name: str) -> Study:
    """A study by its name, among those of this machine and then the shipped ones; or the folder of one.

    Raises InputError where there is none.
    """
    for study in list_studies():
        if study.name == name:
            return study
    path = Path(name).expanduser()
    if (path / "study.toml").is_file():
        return Study(path)
    names = sorted({study.name for study in list_studies()})
    known = f"; there are {', '.join(names)}" if names else ""
    raise InputError(f"there is no study {name!r} in {studies_dir()}{known}")
