"""The map of a notebook in a browser: the widget's script and the widget behind it, without a Jupyter between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dans_lab import looks
from dans_lab.map.widget import MapWidget
from dans_lab.prediction import load_run

pytestmark = pytest.mark.browser

# What a front end gives to a widget's script: its state, and news of changes in both directions.
MODEL = """
const heard = {}
const changed = {}
window.model = {
  get: (name) => state[name],
  set: (name, value) => { state[name] = changed[name] = value; (heard[`change:${name}`] ?? []).forEach((f) => f()) },
  save_changes: async () => {
    const news = await window.kernel(JSON.stringify(changed))
    for (const name of Object.keys(changed)) delete changed[name]
    for (const [name, value] of Object.entries(news)) state[name] = value
    for (const name of Object.keys(news)) (heard[`change:${name}`] ?? []).forEach((f) => f())
  },
  on: (event, action) => (heard[event] ??= []).push(action),
  off: (event, action) => (heard[event] = (heard[event] ?? []).filter((each) => each !== action)),
}
const { default: widget } = await import(URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" })))
window.remove = await widget.render({ model: window.model, el: document.getElementById("cell") })
"""
PAGE = (
    "<!doctype html><meta name='viewport' content='width=device-width'><style>body{background:#111;color:#eee;"
    "font-family:sans-serif} body.light{background:#fff;color:#111}</style><div id='cell'></div>"
    "<script type='module'>const state = STATE" + MODEL + "</script>"
)
PIXELS = """(colour) => {
  const canvas = document.querySelector("#cell > div").shadowRoot.querySelector("canvas.canvas")
  const { width, height } = canvas
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height)
  const wanted = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16))
  const box = canvas.getBoundingClientRect()
  for (let i = 0; i < data.length; i += 4)
    if (wanted.every((part, c) => data[i + c] === part))
      return [box.x + ((i / 4) % width) * box.width / width, box.y + Math.floor(i / 4 / width) * box.height / height]
  return null
}"""


def test_a_notebook_plays_hovers_chooses_and_is_dark_as_its_page_is(open_page):
    shown = load_run("umls-complex-dans").map("affects")
    page = open_page(viewport={"width": 390, "height": 800})
    page.expose_function("kernel", lambda text: answer(shown, json.loads(text)))
    state = {name: value for name, value in shown.get_state().items() if name != "layout"}
    page.set_content(PAGE.replace("STATE", json.dumps(state).replace("<", "\\u003c")))
    picture = page.locator("canvas.canvas")
    picture.and_(page.get_by_label("Map of affects at epoch 300, PCA")).wait_for()
    # Nothing is wider than a phone.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.mouse.move(*page.evaluate(PIXELS, looks.G_R.color))
    page.locator(".tip").filter(has_text="nearest entity").wait_for()

    page.get_by_role("slider", name="Epoch").press("Home")
    page.get_by_label("Map of affects at epoch 0, PCA").wait_for()

    page.get_by_role("button", name="G_R fakes").click()
    assert page.evaluate(PIXELS, looks.G_R.color) is None and page.evaluate(PIXELS, looks.G_E.color)

    page.get_by_label("Relation").select_option("isa⁻¹")
    page.get_by_label("Map of isa⁻¹ at epoch 0, PCA").wait_for()
    assert shown.relation == "isa⁻¹" and page.get_by_text("Waiting for the kernel").is_hidden()
    page.get_by_label("Colour by").select_option("hardness")
    page.get_by_text("Hardness: score minus").wait_for()

    # The epoch and the layers stay where another relation is chosen, and the page's colours are the map's.
    paper = "getComputedStyle(document.querySelector('#cell > div')).backgroundColor"
    assert page.evaluate(paper) == "rgb(17, 17, 17)"
    page.evaluate("document.body.className = 'light'")
    page.wait_for_function(f"{paper} === 'rgb(255, 255, 255)'")
    page.evaluate("window.remove()")
    assert page.locator("#cell > *").count() == 0


def answer(shown: MapWidget, changed: dict[str, Any]) -> dict[str, Any]:
    """What the kernel gives back for what a browser has changed."""
    before = shown.get_state()
    shown.set_state(changed)
    return {
        name: value
        for name, value in shown.get_state().items()
        if value != before[name] and name not in changed
    }
