"""Makes docs/negatives.ipynb, executed: `python -m assets.notebook`.

Its cells are below. They run here one after the other, and what a notebook would show of each is kept beside it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
from pathlib import Path
from typing import Any

from ipywidgets import Widget
from ipywidgets.embed import dependency_state

FILE = Path(__file__).parents[1] / "docs" / "negatives.ipynb"

CELLS = [
    (
        "markdown",
        "# From triplets to a map of negatives\n\nA graph, a short training, answers, and the fakes of both pathways "
        "beside the true answers of one relation. Made by `python -m assets.notebook`; it takes seconds on a CPU.",
    ),
    (
        "code",
        'from dans_core import Config, KnowledgeGraph, Trainer, evaluate\n\nkg = KnowledgeGraph.load("umls")\nkg',
    ),
    (
        "markdown",
        "Train. A trainer gives events; here the rankings of valid. The GAN begins after the warm-up, with random "
        "negatives until then.",
    ),
    (
        "code",
        "from dans_core.events import Ranking\n\n"
        'config = Config(decoder="complex", sampler="dans", dim=32, epochs=60, eval_every=20, seed=0)\n'
        "trainer = Trainer(kg, config)\n"
        "for event in trainer:\n"
        "    if isinstance(event, Ranking):\n"
        '        print(f"epoch {event.epoch}: valid MRR {event.mrr:.2f}")\n'
        "print(f\"test MRR {evaluate(trainer.model, kg, split='test').mrr:.2f}\")",
    ),
    (
        "markdown",
        "A longer run, which came with the program, and what it answers. Known facts are marked.",
    ),
    (
        "code",
        'from dans_lab.prediction import load_run\n\nrun = load_run("umls-complex-dans")\nrun',
    ),
    ("code", 'run.predict(head="enzyme", relation="affects", top=5)'),
    (
        "markdown",
        "The fakes for every query of the relation, five draws of each pathway: G_E makes them from the head alone, "
        "G_R from head and relation.",
    ),
    (
        "code",
        "import torch\n\n"
        "from dans_core.batch import Batch\n"
        "from dans_core.diagnostics import draw_fakes\n\n"
        'r = run.kg.relation_id("affects")\n'
        "asked = run.kg.train[run.kg.train[:, 1] == r]\n"
        "batch = Batch.of_pairs(*asked.T, run.kg.num_relations)\n"
        "trained = run.trained\n"
        "with torch.no_grad():\n"
        "    fakes = draw_fakes(\n"
        "        trained.networks, run.config, batch, trained.entities, 5, torch.Generator().manual_seed(0)\n"
        "    )\n"
        "{name: tuple(of.made.shape) for name, of in fakes.items()}  # conditions, draws, dim",
    ),
    (
        "markdown",
        "The map of the app, here as a widget (`pip install anywidget`): all snapshots of the run in one plane, one "
        "fake for each kept query. Point at anything to read what it is, play the epochs, press a layer to hide it. "
        "Another relation or projection needs a kernel that runs.",
    ),
    ("code", 'run.map("affects", projection="umap")'),
]


def executed() -> dict[str, Any]:
    """The notebook with the outputs of its cells, in the format of Jupyter (nbformat 4.5)."""
    names: dict[str, Any] = {}
    cells, count = [], 0
    widgets: dict[str, Any] = {}
    for place, (kind, source) in enumerate(CELLS):
        cell: dict[str, Any] = {
            "cell_type": kind,
            "id": f"cell-{place}",
            "metadata": {},
            "source": _lines(source),
        }
        if kind == "code":
            count += 1
            cell |= {"execution_count": count, "outputs": _outputs(source, names, count, widgets)}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    states = {"version_major": 2, "version_minor": 0, "state": widgets}
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": kernel,
            "language_info": {"name": "python"},
            "widgets": {"application/vnd.jupyter.widget-state+json": states},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _outputs(source: str, names: dict[str, Any], count: int, widgets: dict[str, Any]) -> list[dict[str, Any]]:
    """What a cell prints, and what its last expression is; the state of a widget is added to `widgets`."""
    parsed = ast.parse(source)
    last = parsed.body.pop() if _shows(parsed.body[-1]) else None
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(parsed, "notebook", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "notebook", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(text)})
    if value is not None:
        data = _widget(value, widgets) if isinstance(value, Widget) else _data(value)
        outputs.append(
            {"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}}
        )
    return outputs


def _shows(statement: ast.stmt) -> bool:
    """Whether a last statement is an expression that is more than a print."""
    return isinstance(statement, ast.Expr) and not ast.unparse(statement).startswith("print(")


def _widget(value: Widget, widgets: dict[str, Any]) -> dict[str, Any]:
    """What stands for a widget in a cell. Its models are numbered, since each time they have other names."""
    # None of the defaults is known to the models in the browser.
    state = dependency_state([value], drop_defaults=False)
    text = json.dumps([value.model_id, state])
    for number, model in enumerate(state, len(widgets)):
        text = text.replace(model, f"widget-{number}")
    own, numbered = json.loads(text)
    widgets |= numbered
    view = {"version_major": 2, "version_minor": 0, "model_id": own}
    return {"application/vnd.jupyter.widget-view+json": view, "text/plain": [type(value).__name__]}


def _data(value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = _lines(value._repr_html_())
    text = repr(value)
    # An address is another one each time.
    short = len(text) < 400 and " at 0x" not in text
    return data | {"text/plain": _lines(text if short else type(value).__name__)}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    """Write the notebook."""
    FILE.write_text(json.dumps(executed(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
