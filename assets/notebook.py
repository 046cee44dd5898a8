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
        "In one plane, by the two directions in which the entities differ most (PCA). Close in the plane need not be "
        "close in all numbers; the Map screen of the app has UMAP, every epoch, and how far to trust it.",
    ),
    (
        "code",
        "import plotly.graph_objects as go\n\n"
        "middle = trained.entities.mean(0)\n"
        "_, _, axes = torch.linalg.svd(trained.entities - middle, full_matrices=False)\n"
        "true = batch.answers\n"
        "others = torch.ones(len(run.kg.entities), dtype=torch.bool).index_fill(0, true, False).nonzero().squeeze(1)\n"
        "groups = {\n"
        '    "true answers": (trained.entities[true], "#0B9268", "circle"),\n'
        '    "G_E fakes": (fakes["G_E"].made.flatten(0, 1), "#D4601B", "diamond"),\n'
        '    "G_R fakes": (fakes["G_R"].made.flatten(0, 1), "#3A7BD5", "square"),\n'
        '    "other entities": (trained.entities[others], "#838A96", "circle-open"),\n'
        "}\n"
        'figure = go.Figure(layout={"title": \'Negatives of “affects”\', "template": "plotly_white"})\n'
        "for name, (points, colour, symbol) in groups.items():\n"
        "    x, y = ((points - middle) @ axes[:2].T).double().round(decimals=2).T.tolist()\n"
        '    marker = {"color": colour, "symbol": symbol, "size": 6, "opacity": 0.7}\n'
        '    figure.add_scatter(x=x, y=y, mode="markers", name=name, marker=marker)\n'
        "figure",
    ),
]


def executed() -> dict[str, Any]:
    """The notebook with the outputs of its cells, in the format of Jupyter (nbformat 4.5)."""
    names: dict[str, Any] = {}
    cells, count = [], 0
    for place, (kind, source) in enumerate(CELLS):
        cell: dict[str, Any] = {
            "cell_type": kind,
            "id": f"cell-{place}",
            "metadata": {},
            "source": _lines(source),
        }
        if kind == "code":
            count += 1
            cell |= {"execution_count": count, "outputs": _outputs(source, names, count)}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What a cell prints, and what its last expression is."""
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
        outputs.append(
            {"output_type": "execute_result", "execution_count": count, "data": _data(value), "metadata": {}}
        )
    return outputs


def _shows(statement: ast.stmt) -> bool:
    """Whether a last statement is an expression that is more than a print."""
    return isinstance(statement, ast.Expr) and not ast.unparse(statement).startswith("print(")


def _data(value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if hasattr(value, "to_plotly_json"):
        # Without the template, which plotly adds again and which is longer than the points.
        value.layout.template = None
        return {"application/vnd.plotly.v1+json": json.loads(value.to_json()), "text/plain": ["Figure"]}
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
