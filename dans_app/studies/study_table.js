// The table of a study: a real table whose cells are buttons, and a line below that says the cell pointed at in words.
// Names reach the page only through textContent and attributes.

import { element, written } from "../../dans_lab/scripts/elements.js"

const states = new WeakMap()

function say(state, text) {
  state.words.textContent = text || state.resting
}

function listen(state, target, words) {
  for (const event of ["mouseenter", "focus"]) target.addEventListener(event, () => say(state, words))
  for (const event of ["mouseleave", "blur"]) target.addEventListener(event, () => say(state, ""))
}

function cell(state, line, data, chosen) {
  const holder = element(line, "td")
  const button = element(holder, "button", "cell")
  button.type = "button"
  button.dataset.id = data.id
  button.setAttribute("aria-label", data.words)
  button.setAttribute("aria-pressed", String(data.id === chosen))
  const value = element(button, "span", "value")
  written(value, "b", "", data.mean)
  if (data.sd) written(value, "span", "sd", ` ${data.sd}`)
  if (data.mark) {
    const against = element(button, "span", data.faint ? "against faint" : "against")
    written(against, "span", "mark", data.mark).style.color = data.color
    written(against, "span", "", ` ${data.difference}`)
  }
  if (data.seen) written(button, "span", "note seen", data.seen)
  if (data.note) written(button, "span", "note", data.note)
  listen(state, button, data.words)
  button.addEventListener("click", () => state.pick(data.id))
}

function draw(state, data) {
  const focused = state.root.getRootNode().activeElement?.dataset?.id
  state.table.replaceChildren()
  state.table.setAttribute("aria-label", data.alt)
  const head = element(element(state.table, "thead"), "tr")
  for (const name of [data.corner, ...data.columns]) written(head, "th", "", name).scope = "col"
  const body = element(state.table, "tbody")
  for (const row of data.rows) {
    const line = element(body, "tr", row.reference ? "reference" : "")
    const name = written(line, "th", "", row.name)
    name.scope = "row"
    if (row.reference) written(name, "span", "tag", "reference")
    if (row.spent) written(name, "span", "spent", row.spent)
    if (row.about) listen(state, name, `${row.name}: ${row.about}`)
    for (const each of row.cells) cell(state, line, each, data.chosen)
  }
  if (data.floor !== null) {
    const line = element(body, "tr", "floor")
    written(line, "th", "", "Popularity floor").scope = "row"
    const value = written(line, "td", "", data.floor)
    value.colSpan = data.columns.length
    listen(
      state,
      line,
      "Popularity floor: what ranking by how often an entity fills the slot in train gets, with nothing learned.",
    )
  }
  const chosen = data.rows.flatMap((row) => row.cells).find((each) => each.id === data.chosen)
  state.resting = chosen ? chosen.words : data.hint
  say(state, "")
  if (focused)
    state.table.querySelector(`button[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true })
}

export default function (component) {
  const {
    data: [data],
    parentElement,
    setTriggerValue,
  } = component
  let state = states.get(parentElement)
  if (!state) {
    const root = element(parentElement, "div", "study")
    const scroll = element(root, "div", "scroll")
    state = { root, table: element(scroll, "table"), words: element(root, "p", "words"), resting: "" }
    states.set(parentElement, state)
  }
  state.pick = (id) => setTriggerValue("picked", id)
  const now = JSON.stringify(data)
  if (now !== state.drawn) {
    state.drawn = now
    draw(state, data)
  }
  return () => {
    states.delete(parentElement)
    state.root.remove()
  }
}
