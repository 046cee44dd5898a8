// The map in a notebook: its choices, the map that the app draws, and the notebook's own light or dark.

import { element, put } from "../scripts/elements.js"
import { drawMap } from "./map.js"

// A colour, however it is written, as red, green, blue and opacity, 0 … 255.
function parts(colour) {
  const pen = document.createElement("canvas").getContext("2d")
  pen.fillStyle = colour
  pen.fillRect(0, 0, 1, 1)
  return pen.getImageData(0, 0, 1, 1).data
}

function isLight(colour) {
  const [red, green, blue] = parts(colour)
  return 0.3 * red + 0.59 * green + 0.11 * blue > 128
}

// What lies behind an element; where nothing does, what its text can be read on.
function behind(start, ink) {
  for (let here = start; here; here = here.parentElement ?? here.getRootNode().host) {
    const colour = getComputedStyle(here).backgroundColor
    if (parts(colour)[3] > 127) return colour
  }
  return isLight(ink) ? "#14171c" : "#ffffff"
}

// Dress the map as what stands around it; gives whether that has changed.
function dress(host) {
  const { color, fontFamily } = getComputedStyle(host.parentElement)
  if (!color) return false
  const looks = {
    "--st-text-color": color,
    "--st-background-color": behind(host.parentElement, color),
    "--st-primary-color": isLight(color) ? "#84b1ee" : "#2b5fa8",
    "--st-font": fontFamily,
  }
  const before = host.style.cssText
  for (const [name, value] of Object.entries(looks)) host.style.setProperty(name, value)
  return host.style.cssText !== before
}

// A choice by its label, from pairs of a value and its name; the model holds what is chosen.
function choice(parent, model, name, label, options) {
  const holder = element(parent, "label", "choice")
  put(element(holder, "span"), label)
  const select = element(holder, "select")
  for (const [value, text] of options) put(element(select, "option", "", { value }), text)
  select.onchange = () => {
    model.set(name, select.value)
    model.save_changes()
  }
  return select
}

function render({ model, el }) {
  const host = element(el, "div")
  // Jupyter's shortcuts leave the keys of the map alone.
  host.dataset.lmSuppressShortcuts = "true"
  const root = host.attachShadow({ mode: "open" })
  put(element(root, "style"), model.get("styles"))
  const top = element(root, "div", "choices")
  const selects = {
    relation: choice(top, model, "relation", "Relation", model.get("relations")),
    projection: choice(top, model, "projection", "Projection", model.get("projections")),
    colour: choice(top, model, "colour", "Colour by", model.get("colours")),
  }
  const field = element(element(top, "label", "choice"), "input", "", { type: "checkbox" })
  put(element(field.parentElement, "span"), "D_adv’s field")
  field.parentElement.toggleAttribute("hidden", !model.get("colours").some(([value]) => value === "d_adv"))
  field.onchange = () => {
    model.set("field", field.checked)
    model.save_changes()
  }
  const told = element(root, "p", "told", { role: "status" })
  const place = element(root, "div")
  const note = element(root, "p", "told")
  let remove = null

  function draw() {
    const data = { ...model.get("data"), colour: model.get("colour"), field: model.get("field") }
    remove = drawMap({
      data: [data],
      parentElement: place,
      setStateValue: (name, value) => {
        model.set(name, value)
        model.save_changes()
      },
    })
    for (const [name, select] of Object.entries(selects)) select.value = model.get(name)
    field.checked = model.get("field")
    put(note, model.get("note"))
    wait()
  }

  // The map of another relation or projection is made by the kernel.
  function wait() {
    const [relation, projection] = model.get("shown")
    const there = relation === model.get("relation") && projection === model.get("projection")
    put(told, there ? "" : "Waiting for the kernel of this notebook …")
    told.toggleAttribute("hidden", there)
  }

  const heard = { data: draw, colour: draw, field: draw, relation: wait, projection: wait, shown: wait }
  for (const [name, action] of Object.entries(heard)) model.on(`change:${name}`, action)
  const look = () => dress(host) && draw()
  const around = new MutationObserver(look)
  for (const each of [document.documentElement, document.body]) around.observe(each, { attributes: true })
  const light = matchMedia("(prefers-color-scheme: dark)")
  light.addEventListener("change", look)
  // A notebook may put the element in its place only later, and only then it has colours.
  const placed = new ResizeObserver(look)
  placed.observe(host)
  dress(host)
  draw()
  return () => {
    for (const [name, action] of Object.entries(heard)) model.off(`change:${name}`, action)
    around.disconnect()
    placed.disconnect()
    light.removeEventListener("change", look)
    remove()
    host.remove()
  }
}

export default { render }
