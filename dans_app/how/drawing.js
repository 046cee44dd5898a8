// The architecture as a drawing whose parts are buttons, and below it the same in words that are buttons too.
// A part and its words light each other up; a loss also shows where its gradient runs, and where that stops.

import { element, shape, written } from "../../dans_lab/scripts/elements.js"
import { PLANS } from "./plan.js"

const NARROW = 560
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
const states = new WeakMap()
let drawings = 0

function light(state, id) {
  state.lit = id
  const moved = state.data.trains[id] || []
  for (const each of state.root.querySelectorAll("[data-part]")) {
    each.classList.toggle("lit", each.dataset.part === id)
    each.classList.toggle("moved", moved.includes(each.dataset.part))
  }
  for (const line of state.svg.querySelectorAll("[data-ends]")) {
    line.classList.toggle("lit", line.dataset.ends.split(" ").includes(id))
  }
  for (const gradient of state.svg.querySelectorAll("[data-loss]")) {
    gradient.classList.toggle("lit", gradient.dataset.loss === id || id === "stops")
  }
  state.svg.classList.toggle("flows", id in state.data.trains || id === "stops")
}

// What is pointed at or has the focus is lit, else the part that is open.
function listen(state, target, id) {
  for (const event of ["mouseenter", "focus"]) target.addEventListener(event, () => light(state, id))
  for (const event of ["mouseleave", "blur"]) {
    target.addEventListener(event, () => light(state, state.data.chosen))
  }
  target.addEventListener("click", () => pick(state, id))
}

function pick(state, id) {
  state.data.chosen = id
  mark(state)
  state.tell(id)
  if (state.plan !== PLANS.tall) return
  // On a phone the part opens below the drawing.
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches
  state.root.scrollIntoView({ block: "end", behavior: calm ? "auto" : "smooth" })
}

function mark(state) {
  for (const each of state.root.querySelectorAll("[data-part]")) {
    if (each.hasAttribute("aria-pressed")) {
      each.setAttribute("aria-pressed", String(each.dataset.part === state.data.chosen))
    }
    each.classList.toggle("chosen", each.dataset.part === state.data.chosen)
  }
  // News of a run do not put out what is pointed at.
  const pointed = state.root.querySelector("[data-part]:hover, [data-part]:focus-visible")
  light(state, pointed ? pointed.dataset.part : state.data.chosen)
}

// The next button in a direction: the nearest whose middle lies that way more than aside.
function neighbour(state, id, [dx, dy]) {
  const middle = (name) => {
    const [x, y, width, height] = state.plan.boxes[name][0]
    return [x + width / 2, y + height / 2]
  }
  const [x, y] = middle(id)
  let best = null
  for (const name of Object.keys(state.plan.boxes)) {
    const [toX, toY] = middle(name)
    const along = (toX - x) * dx + (toY - y) * dy
    const aside = Math.abs((toX - x) * dy) + Math.abs((toY - y) * dx)
    const far = along + 2 * aside
    if (along > 1 && along >= aside * 0.5 && (!best || far < best.far)) best = { name, far }
  }
  return best && best.name
}

function button(state, part, box, first) {
  const [x, y, width, height] = box
  const group = shape(state.svg, "g", { "data-part": part.id }, part.absent ? "part absent" : "part")
  if (part.color) group.style.setProperty("--own", part.color)
  shape(group, "title").textContent = part.says
  const stop = part.id === "stops"
  if (stop) {
    group.classList.add("stop")
    shape(group, "rect", { x: x - 4, y: y - 4, width: width + 8, height: height + 8, rx: 5 }, "reach")
    bars(group, x + width / 2, y + height / 2, width > height ? "flat" : "up")
  } else {
    shape(group, "rect", { x, y, width, height, rx: part.id === "noise" ? width / 2 : 7 }, "box")
  }
  if (first) {
    for (const [name, value] of Object.entries({ role: "button", tabindex: "0", "aria-label": part.label })) {
      group.setAttribute(name, value)
    }
    group.setAttribute("aria-pressed", "false")
    group.addEventListener("keydown", (event) => press(state, part.id, event))
  } else {
    group.setAttribute("aria-hidden", "true")
  }
  listen(state, group, part.id)
  if (stop) return
  // A pathway holds its FiLM in the lower half.
  const room = part.id === "g_e" || part.id === "g_r" ? height - 36 : height
  const two = part.note && part.id !== "film" && !part.absent
  const at = y + room / 2
  const title = state.plan === PLANS.tall ? part.short : part.title
  const words = part.id === "film" ? `${title}  ${part.note}` : title
  text(group, x + width / 2, two ? at - 3 : at + 5, words, "title")
  if (two) text(group, x + width / 2, at + 14, part.note, "note")
}

function press(state, id, event) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault()
    pick(state, id)
  } else if (event.key in KEYS) {
    event.preventDefault()
    const name = neighbour(state, id, KEYS[event.key])
    if (name) state.svg.querySelector(`[data-part="${name}"][role]`).focus()
  }
}

function text(parent, x, y, words, className, anchor = "middle") {
  shape(parent, "text", { x, y, "text-anchor": anchor }, className).textContent = words
}

// Two short bars across a line: what comes through is a constant.
function bars(parent, x, y, way) {
  for (const off of [-2.5, 2.5]) {
    const ends =
      way === "flat"
        ? { x1: x - 9, x2: x + 9, y1: y + off, y2: y + off }
        : { x1: x + off, x2: x + off, y1: y - 9, y2: y + 9 }
    shape(parent, "line", ends, "bar")
  }
}

function lines(state) {
  const gone = new Set(state.data.parts.filter((part) => part.absent).map((part) => part.id))
  const every = state.data.auxToG ? [...state.plan.lines, state.plan.auxToG] : state.plan.lines
  for (const [path, ends, words, x, y, anchor] of every) {
    const absent = ends.some((end) => gone.has(end))
    const group = shape(state.svg, "g", { "data-ends": ends.join(" ") }, absent ? "line absent" : "line")
    shape(group, "path", { d: path, "marker-end": `url(#${state.arrow})` })
    if (words) text(group, x, y, words, "beside", anchor)
  }
}

function gradients(state) {
  const gone = new Set(state.data.parts.filter((part) => part.absent).map((part) => part.id))
  for (const [loss, { paths, bars: ends }] of Object.entries(state.plan.gradients)) {
    if (gone.has(loss)) continue
    const group = shape(state.svg, "g", { "data-loss": loss, "aria-hidden": "true" }, "gradient")
    for (const path of paths) shape(group, "path", { d: path, "marker-end": `url(#${state.arrow}-back)` })
    if (!gone.has("stops")) for (const [x, y, way] of ends) bars(group, x, y, way)
  }
}

function arrows(state) {
  const kept = shape(state.svg, "defs")
  for (const [id, className] of [
    [state.arrow, "tip"],
    [`${state.arrow}-back`, "tip back"],
  ]) {
    const marker = shape(kept, "marker", {
      id,
      viewBox: "0 0 8 8",
      refX: 7,
      refY: 4,
      markerWidth: 7,
      markerHeight: 7,
      markerUnits: "userSpaceOnUse",
      orient: "auto",
    })
    shape(marker, "path", { d: "M0,0 L8,4 L0,8 z" }, className)
  }
}

function sentences(state) {
  state.words.replaceChildren()
  const gone = new Set(state.data.parts.filter((part) => part.absent).map((part) => part.id))
  for (const line of state.data.words) {
    const paragraph = element(state.words, "p")
    for (const each of line) {
      if (typeof each === "string") {
        paragraph.append(each)
        continue
      }
      const word = written(paragraph, "button", gone.has(each[0]) ? "word absent" : "word", each[1])
      word.type = "button"
      word.dataset.part = each[0]
      word.setAttribute("aria-pressed", "false")
      const part = state.data.parts.find((one) => one.id === each[0])
      if (part.color) word.style.setProperty("--own", part.color)
      listen(state, word, each[0])
    }
  }
}

function draw(state) {
  const plan = state.root.clientWidth < NARROW ? PLANS.tall : PLANS.wide
  const now = JSON.stringify({ ...state.data, chosen: null })
  if (plan !== state.plan || now !== state.drawn) {
    state.plan = plan
    state.drawn = now
    const focused = state.root.getRootNode().activeElement
    const kept = focused?.dataset?.part && { part: focused.dataset.part, tag: focused.tagName.toLowerCase() }
    state.root.classList.toggle("tall", plan === PLANS.tall)
    state.svg.replaceChildren()
    state.svg.setAttribute("viewBox", `0 0 ${plan.width} ${plan.height}`)
    state.svg.setAttribute("aria-label", state.data.alt)
    arrows(state)
    lines(state)
    gradients(state)
    for (const [x, y, words, quiet] of plan.names) text(state.svg, x, y, words, quiet || "name", "start")
    for (const part of state.data.parts) {
      for (const [place, box] of plan.boxes[part.id].entries()) button(state, part, box, place === 0)
    }
    sentences(state)
    if (kept)
      state.root.querySelector(`${kept.tag}[data-part="${kept.part}"]`)?.focus({ preventScroll: true })
  }
  mark(state)
}

export default function (component) {
  const {
    data: [data],
    parentElement,
    setTriggerValue,
  } = component
  let state = states.get(parentElement)
  if (!state) {
    const root = element(parentElement, "div", "drawing")
    drawings += 1
    state = { root, svg: shape(root, "svg", { role: "group" }), arrow: `tip${drawings}` }
    state.words = element(root, "div", "words")
    state.watch = new ResizeObserver(() => state.data && draw(state))
    state.watch.observe(root)
    states.set(parentElement, state)
  }
  state.data = data
  state.tell = (id) => setTriggerValue("picked", id)
  draw(state)
  return () => {
    state.watch.disconnect()
    states.delete(parentElement)
    state.root.remove()
  }
}
