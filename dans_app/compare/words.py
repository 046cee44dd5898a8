"""What the screen Compare says of its runs, and of how to read what is drawn of them."""

from __future__ import annotations

from dans_app.compare.chosen_runs import Runs
from dans_app.shared import shell
from dans_app.shared.words import markdown_text
from dans_data.words import listed, plural


def legend(runs: Runs) -> list[str]:
    """A line in Markdown for each run: its letter, what it is, its id."""
    return [
        f"**{letter}** {markdown_text(shell.describe(run), 200)} · `{run.id}`" for letter, run in runs.items()
    ]


def about_curves(runs: Runs) -> str:
    """How to read the shared axes."""
    without = [letter for letter, run in runs.items() if not run.config.fakes]
    text = "Colour and dash tell the run here, not the part; a ring marks its best epoch."
    if not without or len(without) == len(runs):
        return text
    verb = plural(len(without), "has", "have")
    return f"{text} {listed(without)} {verb} no G_E, G_R and D, and so no line in their panels."


def about_weights(runs: Runs, which: str) -> str:
    """Which weights were ranked, and how."""
    text = "the last checkpoint"
    if which == "best":
        epochs = (f"{letter} {run.stored_status.best_epoch}" for letter, run in runs.items())
        text = f"the best epoch on valid ({', '.join(epochs)})"
    half = " Recorded runs keep their weights in half precision, which may change a last digit."
    return (
        f"Weights of {text}. Filtered ranking; ties count by the mean of their best and worst rank. Floor: ranking by "
        "how often an entity fills the slot in train, with nothing learned."
        f"{half if any(run.recorded for run in runs.values()) else ''}"
    )
