"""The page to print for students: the words, the lessons with room to write, and a table for the game."""

from __future__ import annotations

import html
from collections.abc import Sequence

from dans_lab.lessons.cards import Card

WORDS = {
    "triplet": "a fact: head, relation, tail, such as (enzyme, affects, cell_function)",
    "query and answer": "head and relation are the query, the tail is its answer",
    "negative": "a wrong answer, which training pushes below the true one",
    "false negative": "a negative that is true after all",
    "fake": "the embedding of an invented tail, made by the generator",
    "G_E": "the pathway that makes fakes from the head alone",
    "G_R": "the pathway that makes fakes from head and relation",
    "FiLM": "the small network that adapts a pathway to each condition",
    "D_adv": "the head of the discriminator that tells real entities from fakes",
    "D_aux": "the head of the discriminator that tells which pathway made a fake",
    "collapse": "many conditions, but nearly the same fake for all of them",
}
"""The words of the method, as a student needs them."""

ROUNDS = 10

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DANS Lab: a page for students</title>
<style>
@page {{ size: A4; margin: 16mm; }}
body {{ max-width: 180mm; margin: 1.5rem auto; padding: 0 1rem; font: 11pt/1.45 system-ui, sans-serif;
  color: #000; background: #fff; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .3rem; }}
h2 {{ font-size: 1.1rem; margin: 1.3rem 0 .4rem; }}
section, tr {{ break-inside: avoid; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border: 1px solid #777; padding: .25rem .5rem; text-align: left; vertical-align: top; }}
td.write {{ height: 1.9rem; }}
p.line {{ border-bottom: 1px solid #777; height: 1.9rem; margin: 0; }}
</style>
</head>
<body>
<h1>DANS Lab</h1>
<p>Name: ______________________________ Date: ______________</p>
<section>
<h2>The words</h2>
<table>{words}</table>
</section>
<h2>The lessons</h2>
<p>Predict before you run. The gap between the two numbers is what you learn from.</p>
{lessons}
<section>
<h2>Real or generated</h2>
<p>Seed: ________ Game: ______________________ Write R for right and W for wrong.</p>
<table>{rounds}</table>
</section>
<section>
<h2>Afterwards</h2>
<p>How would you find out whether generated negatives help on data of your own?</p>
{lines}
</section>
</body>
</html>
"""


def page(cards: Sequence[Card]) -> str:
    """The page as HTML that needs nothing else; answers to expect are not on it."""
    words = "".join(
        f"<tr><th>{html.escape(word)}</th><td>{html.escape(about)}</td></tr>" for word, about in WORDS.items()
    )
    return _PAGE.format(
        words=words,
        lessons="".join(map(_lesson, range(1, len(cards) + 1), cards)),
        rounds=_table_of_rounds(),
        lines=_lines(4),
    )


def _lesson(number: int, card: Card) -> str:
    questions = "".join(f"<p>{html.escape(each.question)}</p>{_lines(2)}" for each in card.answers)
    return (
        f"<section><h2>{number} · {html.escape(card.title)}</h2><p>{html.escape(card.prediction)}</p>"
        '<table><tr><td class="write">I predict:</td><td class="write">Measured:</td></tr></table>'
        f"{questions}</section>"
    )


def _table_of_rounds() -> str:
    heads = "".join(f"<th>{number}</th>" for number in range(1, ROUNDS + 1))
    empty = '<td class="write"></td>' * ROUNDS
    rows = "".join(f"<tr><th>{player}</th>{empty}</tr>" for player in ("You", "D_adv", "D_aux", "Decoder"))
    return f"<tr><th>Round</th>{heads}</tr>{rows}"


def _lines(count: int) -> str:
    return '<p class="line"></p>' * count
