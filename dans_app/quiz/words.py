"""The sentences and tables of the screen Real or generated: what one sees, who it was, why, and how all did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dans_app.quiz import judges
from dans_app.quiz.games import ROUNDS, Game
from dans_app.quiz.judges import Judge, Tally
from dans_app.quiz.pools import Pool
from dans_app.quiz.seen import Neighbour
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data.words import count, number, p_value, share

KINDS = {
    "real": ("real", "generated"),
    "pathway": ("of G_E", "of G_R"),
    "triplet": ("true", "false"),
}
"""The two kinds of each game in a table: those of the first and of the second button."""

MEASURES = {
    "length": "Length, × the median entity",
    "cosine": "Cosine to the nearest other entity",
    "score": "Score by the decoder",
    "common": "Facts of train with this relation and tail",
}
"""What is measured of a candidate, by its name in `Pool.measures`: "cosine" of fakes, "common" of triplets."""

OPINIONS = {"d_adv": "Real by D_adv, share", "d_aux": "By G_R by D_aux, share"}
"""What D says of it."""

AUX_NOTE = (
    "D_aux learned from fakes alone: what it makes of entities is no more than what they look like to it."
)
NO_AUX = "D_aux has no say here: the run has none, or its snapshot is of a version that did not ask it about entities."


@dataclass(frozen=True)
class Round:
    """One of the ten: its place in the pool, whether it is what is sought, and what all players say of it."""

    place: int
    sought: bool
    said: bool | None
    opinions: dict[str, bool]

    @property
    def right(self) -> bool:
        """Whether the person was right."""
        return self.said == self.sought


def query(kg: KnowledgeGraph, head: int, relation: int, tail: str = "**?**") -> str:
    """A query in its original direction, with what stands for its answer: "(**?**, affects, virus)"."""
    given, name = markdown_text(kg.entities[head], 40), kg.relations[relation % kg.num_relations]
    ends = (given, tail) if relation < kg.num_relations else (tail, given)
    return f"({ends[0]}, {markdown_text(name, 40)}, {ends[1]})"


def progress(rounds: Sequence[Round], now: int) -> str:
    """ "Round 3 of 10 · ✓ ✗ · 1 of 2 right"."""
    done = [each for each in rounds if each.said is not None]
    marks = " ".join(":green[✓]" if each.right else ":red[✗]" for each in done)
    right = f" · {sum(each.right for each in done)} of {len(done)} right" if done else ""
    return f"**Round {now} of {ROUNDS}**" + (f" · {marks}" if marks else "") + right


# --- what one sees -------------------------------------------------------------------------------------------------


def numbers(candidates: Pool, place: int) -> str:
    """Length and score of a candidate."""
    length, score = (float(candidates.measures[name][place]) for name in ("length", "score"))
    return f"Length **× {length:.2f}** · score **{number(score, 2)}**"


NUMBERS_HELP = (
    "Length: of the vector, against the median length of an entity. Score: by the decoder, as an answer of this query; "
    "the higher, the more the model believes it."
)


def yardstick(candidates: Pool) -> str:
    """What scores are usual, where the kinds are known: of true answers."""
    scores = candidates.measures["score"][np.isin(candidates.kinds, ("real", "fact"))]
    if not len(scores):
        return ""
    low, middle, high = np.percentile(scores, [25, 50, 75])
    return f"True answers score {middle:.1f}, half of them between {low:.1f} and {high:.1f}."


def near(found: Sequence[Neighbour], kg: KnowledgeGraph, known: set[int]) -> pd.DataFrame:
    """The neighbours as a table with their distances, or where train has answers, `known`, with a mark of these."""
    rows = pd.DataFrame(
        {
            "Nearest entities": [kg.entities[each.entity] for each in found],
            "Cosine": [each.cosine for each in found],
        }
    )
    if known:
        return rows.assign(**{"In train": ["✓" if each.entity in known else "" for each in found]})
    return rows.assign(Distance=[each.distance for each in found])


def near_columns() -> dict[str, Any]:
    """How the columns of the neighbours are formatted and explained."""
    column = st.column_config
    return {
        "Nearest entities": column.TextColumn(
            "Nearest entities",
            width="medium",
            help="By cosine, in all dimensions; the entity itself left out.",
        ),
        "Cosine": column.NumberColumn("Cosine", format="%.2f", help="1 is the same direction."),
        "Distance": column.NumberColumn(
            "Distance", format="%.2f", help="Between the two vectors, in median lengths of an entity."
        ),
        "In train": column.TextColumn(
            "In train", help="Known in train as an answer of this query: the model has learned from it."
        ),
    }


# --- who it was, and why -------------------------------------------------------------------------------------------


def verdict(game: Game, each: Round) -> str:
    """ "Right: it was generated."""
    truth = game.word(game.letter(each.sought))
    it = {
        "real": f"it is {truth.lower()}",
        "pathway": f"{truth} made it",
        "triplet": f"it is {truth.lower()}",
    }
    return f"**{'Right' if each.right else 'Wrong'}: {it[game.name]}.**"


def who(candidates: Pool, place: int, kg: KnowledgeGraph, nearest: Neighbour) -> str:
    """Who stands behind a candidate."""
    head, relation = int(candidates.heads[place]), int(candidates.relations[place])
    answer = int(candidates.answers[place])
    asked, kind = query(kg, head, relation), str(candidates.kinds[place])
    close = f"“{markdown_text(kg.entities[nearest.entity], 40)}” (cosine {nearest.cosine:.2f})"
    name = f"“{markdown_text(kg.entities[answer], 40)}”"
    if kind == "real":
        return f"It is the entity {name}, a known answer of {asked}."
    if kind == "fact":
        return f"It is a fact of test, which training has not seen: {query(kg, head, relation, name)}."
    if kind == "swapped":
        others = count(sum(map(len, kg.answers(head, relation).values())), "known answer")
        return (
            f"No split has this triplet, and so it counts as false. The query has {others}, {name} among them; the "
            "tail was swapped for another one that the relation takes."
        )
    given = "the entity alone" if kind == "G_E" else "entity and relation"
    split = kg.split_of(head, relation, nearest.entity)
    fact = f"a known answer, in {split}" if split else "no known answer of the query"
    return f"{kind} made it from {given}. The entity nearest to it is {close}, {fact}."


def opinions(candidates: Pool, place: int, game: Game, asked: Sequence[Judge], sought: bool) -> str:
    """What each judge says of a candidate, and whether it is right."""
    lines = []
    for judge in asked:
        value = float(candidates.measures[judge.measure][place])
        says = judge.says(value)
        assert says is not None, "a judge without a number is not asked"
        mark = ":green[✓]" if says == sought else ":red[✗]"
        lines.append(f"{mark} **{judge.name}**: {game.word(game.letter(says))} ({_number_of(judge, value)})")
    return "  \n".join(lines)


def _number_of(judge: Judge, value: float) -> str:
    if judge.measure == "score":
        return f"score {number(value, 2)}, threshold {number(judge.threshold, 2)}"
    what = "real" if judge.measure == "d_adv" else "by G_R"
    threshold = f", threshold {share(judge.threshold, 1)}" if judge.fitted else ""
    return f"{what}: {share(value, 1)}{threshold}"


def facts(candidates: Pool, place: int, game: Game) -> pd.DataFrame:
    """What is measured of this candidate beside the median of each kind, and how far each measure tells them apart."""
    first, second = KINDS[game.name]
    sought_first = game.answers[0].letter == game.sought
    one = candidates.sought == sought_first
    rows = []
    for name, words in (MEASURES | OPINIONS).items():
        values = candidates.measures.get(name)
        if values is None or np.isnan(values).any():
            continue
        apart = judges.separation(values, candidates.sought)
        rows.append(
            {
                "Measured": words,
                "This one": float(values[place]),
                f"Median {first}": float(np.median(values[one])),
                f"Median {second}": float(np.median(values[~one])),
                "Tells apart": max(apart, 1 - apart),
            }
        )
    return pd.DataFrame(rows)


def fact_columns(rows: pd.DataFrame) -> dict[str, Any]:
    """How the columns of the facts are formatted and explained."""
    column = st.column_config
    found: dict[str, Any] = {
        name: column.NumberColumn(name, format="%.2f") for name in rows.columns if name != "Measured"
    }
    found["Tells apart"] = column.NumberColumn(
        "Tells apart",
        format="%.2f",
        help="In how many of all pairs, one of each kind, this measure alone points the right way: the area under the "
        "ROC curve. 0.5 is chance, 1 is always.",
    )
    return found


def best_fact(rows: pd.DataFrame, game: Game) -> str:
    """What tells the kinds apart best, D's opinions aside, in one sentence."""
    first, second = KINDS[game.name]
    measured = rows[rows["Measured"].isin(MEASURES.values())]
    best = measured.loc[measured["Tells apart"].idxmax()]
    apart = float(best["Tells apart"])
    name = str(best["Measured"]).partition(",")[0].lower()
    if apart < 0.6:
        return f"Nothing measured here tells {first} from {second} much better than chance."
    return (
        f"Over all that could be asked, the {name} alone is right in {share(apart)} of pairs: its median is "
        f"{number(float(best[f'Median {first}']), 2)} for {first} and "
        f"{number(float(best[f'Median {second}']), 2)} for {second} ones, and here it is "
        f"{number(float(best['This one']), 2)}."
    )


# --- the result ----------------------------------------------------------------------------------------------------


def tallies(rounds: Sequence[Round]) -> dict[str, Tally]:
    """How the person and each judge did on the same ten."""
    truth = [each.sought for each in rounds]
    found = {"You": judges.tally(truth, [bool(each.said) for each in rounds])}
    for name in rounds[0].opinions:
        found[name] = judges.tally(truth, [each.opinions[name] for each in rounds])
    return found


def scores(players: dict[str, Tally], game: Game, asked: Sequence[Judge]) -> pd.DataFrame:
    """The table of the result: a player a row."""
    fitted = {judge.name for judge in asked if judge.fitted}
    rows = []
    for name, tally in players.items():
        low, high = judges.interval(tally.right, tally.rounds)
        rows.append(
            {
                "Player": f"{name}*" if name in fitted else name,
                "Right": f"{tally.right} of {tally.rounds}",
                "Sensitivity": f"{tally.found} of {tally.sought}",
                "Specificity": f"{tally.passed} of {tally.others}",
                "Interval": f"{share(low)} to {share(high)}",
            }
        )
    return pd.DataFrame(rows)


def score_columns(game: Game) -> dict[str, Any]:
    """What the columns of the result mean in this game."""
    column = st.column_config
    return {
        "Interval": column.TextColumn(
            "Interval", help="Where the share of right answers may lie, 95 %, by Wilson: ten rounds are few."
        ),
        "Sensitivity": column.TextColumn("Sensitivity", help=f"Of {game.found}."),
        "Specificity": column.TextColumn("Specificity", help=f"Of {game.passed}."),
    }


def outcome(rounds: Sequence[Round], players: dict[str, Tally], game: Game) -> str:
    """How the person did in words, beside the judge that this game is about."""
    mine = players["You"]
    low, high = judges.interval(mine.right, mine.rounds)
    lines = [
        f"**{mine.right} of {ROUNDS} right.** {game.found.capitalize()}: {mine.found} of {mine.sought} "
        f"(sensitivity); {game.passed}: {mine.passed} of {mine.others} (specificity).",
        f"Ten rounds are few: after many more you might be right in {share(low)} to {share(high)} of them"
        + (", so this may be guessing." if low <= 0.5 <= high else "."),
    ]
    rival = {"real": "D_adv", "pathway": "D_aux", "triplet": "Decoder"}[game.name]
    if rival in players:
        lines.append(_beside(rounds, rival))
    return " ".join(lines)


def _beside(rounds: Sequence[Round], rival: str) -> str:
    mine = sum(each.right and each.opinions[rival] != each.sought for each in rounds)
    theirs = sum(not each.right and each.opinions[rival] == each.sought for each in rounds)
    name = "the decoder" if rival == "Decoder" else rival
    if not mine + theirs:
        return f"You and {name} were right in the same rounds."
    p = judges.luck(mine, theirs)
    luck = "luck alone could do that" if p > 0.05 else "more than luck is likely to do"
    return f"You alone were right in {count(mine, 'round')}, {name} alone in {theirs}: {luck} ({p_value(p)}, McNemar)."


def all_rounds(
    rounds: Sequence[Round], candidates: Pool, game: Game, kg: KnowledgeGraph, asked: Sequence[Judge]
) -> pd.DataFrame:
    """Every round as a row: the query, what it was, what each player said."""

    def said(sought: bool | None, truth: bool) -> str:
        if sought is None:
            return "–"
        return f"{'✓' if sought == truth else '✗'} {game.word(game.letter(sought))}"

    rows = []
    for i, each in enumerate(rounds, 1):
        head, relation = int(candidates.heads[each.place]), int(candidates.relations[each.place])
        entity = candidates.entity(each.place)
        kind = str(candidates.kinds[each.place])
        row = {
            "Round": i,
            "It was": f"fake of {kind}" if entity is None else kg.entities[entity],
            "You": said(each.said, each.sought),
            **{judge.name: said(each.opinions[judge.name], each.sought) for judge in asked},
            "Entity of the query": kg.entities[head],
            "Relation": kg.relation_name(relation),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def parted_elsewhere(rounds: Sequence[Round], candidates: Pool, game: Game, asked: Sequence[Judge]) -> str:
    """How much better D would do in a question of its own, if another threshold than 50 % parted what it says."""
    if game.name == "triplet":
        return ""
    truth, places = [each.sought for each in rounds], [each.place for each in rounds]

    def right(judge: Judge) -> int:
        values = candidates.measures[judge.measure][places].tolist()
        return judges.tally(truth, [bool(judge.says(value)) for value in values]).right

    lines = []
    for judge in asked:
        other = judge if judge.fitted else judges.fitted(judge, candidates, places)
        if right(other) > right(judge):
            lines.append(
                f"Read at {share(other.threshold, 1)} instead of 50 %, {judge.name} would be right in "
                f"{right(other)} of {len(places)}: it orders them better than it judges them."
            )
    return " ".join(lines)


def fitted_note(asked: Sequence[Judge], game: Game) -> str:
    """What the star in the table means, and who has no say."""
    names = [judge.name for judge in asked if judge.fitted]
    parts = []
    if names:
        others = "facts of valid and swapped ones" if game.name == "triplet" else "this run’s other vectors"
        parts.append(
            f"\\* with the threshold on its number that does best on {others}, since it was trained for another "
            "question."
        )
    if game.name == "triplet" and any(judge.name == "D_adv" for judge in asked):
        parts.append(
            "D_adv was only ever asked whether a vector is a real entity, and all of these are: “real” counts as true."
        )
    if game.name != "pathway" and (d := {judge.name for judge in asked} & {"D_adv", "D_aux"}):
        parts.append(AUX_NOTE if "D_aux" in d else NO_AUX)
    return " ".join(parts)
