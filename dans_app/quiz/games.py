"""The three games: what each asks, its two answers, and what it takes to play it with a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dans_app.server import inspecting
from dans_app.shared import theme
from dans_lab.runs.run import Run

Name = Literal["real", "pathway", "triplet"]

ROUNDS = 10
"""Rounds of a game, half of each kind."""


@dataclass(frozen=True)
class Answer:
    """One of the two answers of a game: its letter in the address, the word on its button, and its icon."""

    letter: str
    word: str
    icon: str


@dataclass(frozen=True)
class Game:
    """What is asked in each round.

    Attributes:
        answers: in the order of the buttons.
        sought: the letter of the kind that is to be found: what sensitivity counts.
        found, passed: what sensitivity and specificity are shares of, in words.
    """

    name: Name
    title: str
    question: str
    answers: tuple[Answer, Answer]
    sought: str
    found: str
    passed: str

    def word(self, letter: str) -> str:
        """The word of an answer."""
        return next(answer.word for answer in self.answers if answer.letter == letter)

    def letter(self, sought: bool) -> str:
        """The letter of the kind that is sought, or of the other."""
        return next(each.letter for each in self.answers if (each.letter == self.sought) == sought)


GAMES: dict[Name, Game] = {
    "real": Game(
        "real",
        "Real or generated?",
        "Is the marked vector a real entity that answers this query, or a fake that the generator made for it?",
        (Answer("r", "Real", ":material/verified:"), Answer("g", "Generated", ":material/auto_awesome:")),
        "g",
        "generated ones found",
        "real ones let pass",
    ),
    "pathway": Game(
        "pathway",
        "Which pathway?",
        "The marked vector is a fake. Did G_E make it, from the entity of the query alone, or G_R, from entity and "
        "relation?",
        (Answer("e", "G_E", ":material/diamond:"), Answer("r", "G_R", ":material/square:")),
        "r",
        "fakes of G_R found",
        "fakes of G_E told",
    ),
    "triplet": Game(
        "triplet",
        "True or false?",
        "Is this triplet a fact of the data set, which training has not seen, or has its tail been swapped?",
        (Answer("t", "True", ":material/check:"), Answer("f", "False", ":material/close:")),
        "t",
        "true ones found",
        "false ones rejected",
    ),
}


def refusal(game: Name, run: Run) -> str | None:
    """Why this game cannot be played with a run, as a sentence; None where it can."""
    config = run.config
    if game == "triplet":
        if inspecting.checkpoints(run):
            return None
        return "This run has kept no weights so far, and without them nothing can score a triplet."
    if not config.fakes:
        return (
            f"{theme.SAMPLERS[config.sampler]} trains without a generator and a discriminator, so this run has no "
            "fakes to tell from real entities: “True or false?” is the game to play with it."
        )
    if not run.snapshots():
        return "This run has no snapshot so far, and the fakes of this game come from one."
    if game == "pathway" and len(config.fakes) < 2:
        return (
            f"This run has one pathway alone, {next(iter(config.fakes))}, so there is nothing to tell apart."
        )
    return None


def playable(run: Run) -> list[Name]:
    """The games that can be played with a run."""
    return [name for name in GAMES if refusal(name, run) is None]
