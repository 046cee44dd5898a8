"""What the address of the screen Real or generated asks for, and the answers given so far."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import streamlit as st

from dans_app.quiz import games
from dans_app.quiz.games import GAMES, ROUNDS, Game
from dans_app.shared import url_values
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text
from dans_lab.runs.run import Run

MOST_SEED = 999_999
_KEPT = "quiz_answers"
"""Session key: the answers of each game that was begun, so that another game in between loses nothing."""


@dataclass(frozen=True)
class Asked:
    """A game, and where one is in it.

    Attributes:
        place, own: the address, and the part of it that means something for these ten rounds alone.
        epoch: the snapshot that the fakes are of; None where the game needs none.
        answers: the letters of the answers so far.
        round: the number of the round that is shown, from 1; `ROUNDS` + 1 is the result.
    """

    run: Run
    game: Game
    seed: int
    epochs: list[int]
    epoch: int | None
    place: Address
    own: Address
    answers: str
    round: int

    @property
    def over(self) -> bool:
        """Whether the result is shown."""
        return self.round > ROUNDS

    @property
    def answered(self) -> bool:
        """Whether the round that is shown has its answer."""
        return self.round <= len(self.answers)

    def answer(self, letter: str) -> None:
        """For callbacks: the person's answer to this round, which stands. A key pressed twice answers once."""
        if len(self.answers) == self.round - 1:
            self._keep(self.answers + letter, self.round)

    def go(self, number: int) -> None:
        """For callbacks: to another round, or with `ROUNDS` + 1 to the result."""
        self._keep(self.answers, number)

    def again(self) -> None:
        """For callbacks: the same ten from the beginning."""
        self._keep("", 1)

    def others(self) -> None:
        """For callbacks: ten others, by chance."""
        self.place.choose("seed", str(secrets.randbelow(MOST_SEED + 1)))

    def _keep(self, answers: str, number: int) -> None:
        st.session_state.setdefault(_KEPT, {})[_scope(self.run, self.game, self.seed, self.epoch)] = answers
        self.own.choose("answers", answers or None)
        self.own.choose("round", _round_text(number, answers))


def checked(run: Run, offered: list[games.Name]) -> Asked:
    """Read the address, keep in it what is really shown, and complain there of what cannot be.

    `offered` are the games that the run can play, one at least.
    """
    place = Address("quiz", run.id)
    name, *problems = _game(place.raw("game"), run, offered)
    game = GAMES[name]
    seed, problem = _seed(place.raw("seed"))
    problems.append(problem)
    epochs = [] if name == "triplet" else [epoch for epoch, _ in run.snapshots()]
    epoch, problem = url_values.epoch(place.raw("epoch") if epochs else None, epochs)
    problems.append(problem)
    shown = epochs[-1] if epochs and epoch is None else epoch
    # Made before a complaint, since other rounds forget the old ones.
    own = Address("quiz", _scope(run, game, seed, shown), "rounds")
    for each in filter(None, problems):
        place.complain(each)
    place.keep("game", None if name == offered[0] else name)
    place.keep("seed", str(seed) if seed else None)
    # Also the newest, since that of a live run is another one a moment later, and with it the ten.
    place.keep("epoch", None if shown is None else str(shown))
    kept = st.session_state.get(_KEPT, {}).get(_scope(run, game, seed, shown))
    answers = own.said(_answers(own.raw("answers") or kept, game))
    number = own.said(_round(own.raw("round"), answers))
    own.keep("answers", answers or None)
    own.keep("round", _round_text(number, answers))
    return Asked(run, game, seed, epochs, shown, place, own, answers, number)


def _scope(run: Run, game: Game, seed: int, epoch: int | None) -> str:
    return f"{run.id} {game.name} {seed} {epoch}"


def _game(text: str | None, run: Run, offered: list[games.Name]) -> tuple[games.Name, str | None]:
    name, problem = url_values.one_of(text, "game", list(GAMES))
    if text is None or problem:
        return offered[0], problem
    return (name, None) if name in offered else (offered[0], games.refusal(name, run))


def _seed(text: str | None) -> tuple[int, str | None]:
    if text is None:
        return 0, None
    if len(text) < 8 and text.isascii() and text.isdecimal() and int(text) <= MOST_SEED:
        return int(text), None
    shown = markdown_text(text, 20)
    return 0, f"The address asks for seed “{shown}”; it can be a whole number from 0 to {MOST_SEED:,}."


def _answers(text: str | None, game: Game) -> tuple[str, str | None]:
    letters = [answer.letter for answer in game.answers]
    if not text:
        return "", None
    if len(text) <= ROUNDS and set(text) <= set(letters):
        return text, None
    shown, options = markdown_text(text, 20), " or ".join(letters)
    return (
        "",
        f"The address gives the answers “{shown}”; they can be at most {ROUNDS} letters, {options} each.",
    )


def _round(text: str | None, answers: str) -> tuple[int, str | None]:
    """A round that has an answer, or the next one; by default the next one, which after all rounds is the result."""
    reached = len(answers) + 1
    if text is None:
        return reached, None
    if len(text) < 3 and text.isascii() and text.isdecimal() and 1 <= int(text) <= min(reached, ROUNDS):
        return int(text), None
    shown = markdown_text(text, 20)
    return reached, f"The address asks for round “{shown}”, which these answers have not come to."


def _round_text(number: int, answers: str) -> str | None:
    """The round in the address: none for the next one."""
    return None if number == len(answers) + 1 else str(number)
