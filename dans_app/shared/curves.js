// Live curves: draws panels of lines that share one epoch axis, one crosshair and one zoom.
// Every run of the default export updates the same DOM nodes, so zoom, focus and hover survive live data.
// Names reach the page only through textContent and attributes.

import { SVG, element, put } from "../../dans_lab/scripts/elements.js"

// Pixels of a plot: so many that all panels are to be seen at once, within these bounds.
const [LOW, HIGH, NARROW] = [132, 230, 190]
const ABOVE = 250
const AROUND = 100
const [COLUMN, GAP] = [340, 13]
const EDGE = { left: 40, right: 14, top: 10, bottom: 22 }
const HINT = matchMedia("(hover: none)").matches
  ? "Touch a curve to read its values."
  : "Drag to zoom, double-click for all; on the keyboard: arrows, +, Esc."
// Milliseconds before other work than the curves: first they are drawn.
const AT_REST = 2000
// Milliseconds in which a recorded run plays.
const LENGTH = 7000
// What a person does that ends it.
const OWN = ["pointerdown", "keydown", "wheel"]
const states = new WeakMap()

// The child of `parent` called `key`, made at the first call.
function node(parent, tag, key, className) {
  let found = parent.querySelector(`:scope > [data-key="${key}"]`)
  if (!found) {
    const vector = parent.namespaceURI === SVG || tag === "svg"
    found = vector ? document.createElementNS(SVG, tag) : document.createElement(tag)
    found.setAttribute("data-key", key)
    if (className) found.setAttribute("class", className)
    parent.appendChild(found)
  }
  return found
}

function keep(parent, keys) {
  for (const child of Array.from(parent.children))
    if (!keys.has(child.getAttribute("data-key"))) child.remove()
}

function set(target, attributes) {
  for (const name in attributes) target.setAttribute(name, attributes[name])
  return target
}

function ticks(low, high, count) {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough)
  const out = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(i * step + 0)
  return { out, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) }
}

function number(value) {
  if (value === null || value === undefined) return "–"
  const size = Math.abs(value)
  return size !== 0 && size < 0.001 ? value.toExponential(1) : value.toFixed(size >= 100 ? 1 : 3)
}

// Index of the last x that is at most `epoch`, or -1; xs ascend.
function before(xs, epoch) {
  let low = 0
  let high = xs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (xs[middle] <= epoch) low = middle + 1
    else high = middle
  }
  return low - 1
}

// Where `epoch` reads this series: the nearest point.
function nearest(series, epoch) {
  const i = before(series.x, epoch)
  if (i < 0) return series.x.length && series.x[0] - epoch <= series.reach ? 0 : -1
  const next = i + 1 < series.x.length && series.x[i + 1] - epoch < epoch - series.x[i] ? i + 1 : i
  return Math.abs(series.x[next] - epoch) <= series.reach ? next : -1
}

function domain(panel, from, to) {
  let low = Infinity
  let high = -Infinity
  for (const s of panel.series)
    for (let i = 0; i < s.x.length; i++)
      if (s.x[i] >= from && s.x[i] <= to) {
        low = Math.min(low, s.y[i])
        high = Math.max(high, s.y[i])
      }
  for (const rule of panel.rules) {
    low = Math.min(low, rule.y)
    high = Math.max(high, rule.y)
  }
  if (low === Infinity) return [0, 1]
  const room = Math.max((high - low) * 0.08, Math.abs(high) * 0.01, 1e-6)
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room * 1.6]
}

// Where the text of a mark at this height stands so that none of the rules crosses it: above the mark if it can.
function clearOf(rules, height, lowest) {
  const places = [height - 7, height + 16, height - 22].filter((at) => at >= 11 && at <= lowest)
  return (
    places.find((at) => rules.every((rule) => rule < at - 12 || rule > at + 4)) ?? Math.max(11, height - 7)
  )
}

// An entry of the legend that begins with a piece of its line.
function chipOf(box, name, line) {
  const chip = node(box.legend, "span", name, "chip")
  const swatch = set(node(chip, "svg", "swatch"), { viewBox: "0 0 22 8", "aria-hidden": "true" })
  set(node(swatch, "line", "l"), { x1: 0, x2: 22, y1: 4, y2: 4, ...line })
  return chip
}

function drawPanel(state, panel, box) {
  const { data, zoom, hover, tall } = state
  put(node(box.head, "h3", "title"), panel.title)
  const about = set(node(box.head, "button", "about", "about"), {
    type: "button",
    "aria-label": `What is this? ${panel.about}`,
  })
  put(about, "?")
  put(node(box.head, "span", "tip", "tip"), panel.about)
  const at = node(box.head, "span", "at", "at")
  box.plot.toggleAttribute("hidden", !!panel.empty)
  box.empty.toggleAttribute("hidden", !panel.empty)
  box.legend.toggleAttribute("hidden", !!panel.empty)
  put(box.empty, panel.empty || "")
  const newest = Math.max(0, ...panel.series.filter((s) => !s.faint).map((s) => s.x[s.x.length - 1] ?? 0))
  const reached = state.playing ?? Infinity
  const reading = hover ?? Math.min(newest, zoom ? zoom[1] : newest, Math.floor(reached))
  put(at, panel.empty ? "" : `epoch ${reading.toLocaleString("en")}`)
  if (panel.empty) return

  // The legend is also the reading: it shows the hovered epoch, else the newest values.
  const chips = new Set()
  for (const s of panel.series) {
    chips.add(s.name)
    const look = { "stroke-width": s.faint ? 1.6 : 2.2, opacity: s.faint ? 0.65 : 1 }
    const chip = chipOf(box, s.name, { stroke: s.color, "stroke-dasharray": s.dash, ...look })
    put(node(chip, "span", "name"), s.name)
    const i = hover === null && !zoom && !isPlaying(state) ? s.x.length - 1 : nearest(s, reading)
    put(node(chip, "b", "value"), i < 0 ? "–" : number(s.y[i]))
  }
  for (const rule of panel.rules) {
    chips.add(rule.name)
    const chip = chipOf(box, rule.name, {
      stroke: rule.color,
      "stroke-width": 1.4,
      "stroke-dasharray": "2 3",
    })
    put(node(chip, "span", "name"), `${rule.short ?? rule.name} ${number(rule.y)}`)
  }
  keep(box.legend, chips)

  const width = Math.max(200, box.plot.clientWidth || 320)
  const plot = set(box.plot, { viewBox: `0 0 ${width} ${tall}`, "aria-label": panel.alt })
  const [from, to] = zoom || [0, data.epochs]
  const [low, high] = domain(panel, from, to)
  const x = (v) => EDGE.left + ((v - from) / (to - from || 1)) * (width - EDGE.left - EDGE.right)
  const y = (v) => tall - EDGE.bottom - ((v - low) / (high - low)) * (tall - EDGE.top - EDGE.bottom)
  box.toEpoch = (px) => from + ((px - EDGE.left) / (width - EDGE.left - EDGE.right)) * (to - from)

  const clip = `clip-${panel.id}`
  set(node(node(node(plot, "defs", "defs"), "clipPath", clip), "rect", "r"), {
    x: EDGE.left,
    y: 0,
    width: Math.max(0, Math.min(width - EDGE.right, x(reached)) - EDGE.left + (isPlaying(state) ? 0 : 6)),
    height: tall - EDGE.bottom + 1,
  })
  plot.querySelector("clipPath").id = clip

  const back = node(plot, "g", "back")
  const drawn = new Set()
  if (data.warm_up > from) {
    drawn.add("span").add("span-name")
    const end = Math.min(x(Math.min(data.warm_up, to)), width - EDGE.right)
    set(node(back, "rect", "span", "span"), {
      x: EDGE.left,
      y: EDGE.top - 6,
      width: end - EDGE.left,
      height: tall - EDGE.bottom - EDGE.top + 6,
    })
    const word = end - EDGE.left > 46 ? "warm-up" : ""
    put(set(node(back, "text", "span-name"), { x: EDGE.left + 5, y: EDGE.top + 6 }), word)
  }
  const ys = ticks(low, high, 5)
  for (const value of ys.out) {
    const key = `y${value.toFixed(6)}`
    drawn.add(key).add(`${key}t`)
    set(node(back, "line", key, "grid"), {
      x1: EDGE.left,
      x2: width - EDGE.right,
      y1: y(value),
      y2: y(value),
    })
    put(
      set(node(back, "text", `${key}t`), { x: EDGE.left - 6, y: y(value) + 3.5, "text-anchor": "end" }),
      value.toFixed(ys.digits),
    )
  }
  const xs = ticks(from, to, width < 360 ? 4 : 6)
  for (const value of xs.out.filter((v) => Number.isInteger(v))) {
    const key = `x${value}`
    drawn.add(key)
    const text = set(node(back, "text", key), { x: x(value), y: tall - 6, "text-anchor": "middle" })
    put(text, value.toLocaleString("en"))
  }
  drawn.add("axis")
  put(set(node(back, "text", "axis"), { x: 0, y: tall - 6 }), "epoch")
  keep(back, drawn)

  const lines = set(node(plot, "g", "lines"), { "clip-path": `url(#${clip})` })
  const names = new Set()
  for (const rule of panel.rules) {
    names.add(`rule-${rule.name}`)
    set(node(lines, "line", `rule-${rule.name}`), {
      x1: EDGE.left,
      x2: width - EDGE.right,
      y1: y(rule.y),
      y2: y(rule.y),
      stroke: rule.color,
      "stroke-width": 1.4,
      "stroke-dasharray": "2 3",
    })
  }
  for (const s of panel.series) {
    names.add(s.name)
    let path = ""
    for (let i = 0; i < s.x.length; i++)
      path += `${i ? "L" : "M"}${x(s.x[i]).toFixed(1)},${y(s.y[i]).toFixed(1)}`
    if (s.x.length === 1) path += "h0.01"
    const line = set(node(lines, "path", s.name, s.faint ? "line faint" : "line"), {
      d: path,
      stroke: s.color,
      "stroke-dasharray": s.dash,
    })
    line.setAttribute("data-points", s.x.length)
  }
  keep(lines, names)

  const front = node(plot, "g", "front")
  const marks = new Set()
  for (const mark of panel.marks) {
    if (mark.x < from || mark.x > Math.min(to, reached)) continue
    marks.add(`mark-${mark.name}`).add(`markt-${mark.name}`)
    set(node(front, "circle", `mark-${mark.name}`), {
      cx: x(mark.x),
      cy: y(mark.y),
      r: 4.5,
      fill: "var(--st-background-color)",
      stroke: mark.color,
      "stroke-width": 2,
    })
    const late = x(mark.x) > width * 0.6
    put(
      set(node(front, "text", `markt-${mark.name}`, "halo"), {
        x: x(mark.x) + (late ? -8 : 8),
        y: clearOf(
          panel.rules.map((rule) => y(rule.y)),
          y(mark.y),
          tall - EDGE.bottom,
        ),
        "text-anchor": late ? "end" : "start",
      }),
      mark.short ?? mark.name,
    )
  }
  if (hover !== null && hover >= from && hover <= to) {
    marks.add("cross")
    set(node(front, "line", "cross", "cross"), {
      x1: x(hover),
      x2: x(hover),
      y1: EDGE.top - 6,
      y2: tall - EDGE.bottom,
    })
    for (const s of panel.series) {
      const i = nearest(s, hover)
      if (i < 0) continue
      marks.add(`dot-${s.name}`)
      set(node(front, "circle", `dot-${s.name}`), { cx: x(s.x[i]), cy: y(s.y[i]), r: 3, fill: s.color })
    }
  } else {
    for (const s of panel.series) {
      const i = isPlaying(state) ? before(s.x, reached) : s.x.length - 1
      if (!(s.live ?? (data.live || isPlaying(state))) || s.faint || i < 0 || s.x[i] < from || s.x[i] > to)
        continue
      marks.add(`dot-${s.name}`)
      set(node(front, "circle", `dot-${s.name}`), { cx: x(s.x[i]), cy: y(s.y[i]), r: 3, fill: s.color })
    }
  }
  if (state.drag) {
    marks.add("brush")
    const [a, b] = [Math.min(...state.drag), Math.max(...state.drag)]
    set(node(front, "rect", "brush", "brush"), {
      x: x(a),
      y: EDGE.top - 6,
      width: x(b) - x(a),
      height: tall - EDGE.bottom - EDGE.top + 6,
    })
  }
  keep(front, marks)
}

// A recorded run plays: its curves draw themselves, epoch by epoch, until they are whole or a person does something.
function isPlaying(state) {
  return state.playing !== null
}

function play(state) {
  const began = performance.now()
  state.zoom = state.hover = null
  state.root.toggleAttribute("data-playing", true)
  for (const own of OWN) document.addEventListener(own, state.stop, { capture: true, passive: true })
  const step = (now) => {
    if (!state.root.isConnected) return
    state.playing = Math.max(0, ((now - began) / LENGTH) * state.data.epochs)
    if (state.playing >= state.data.epochs) return whole(state)
    state.frame = requestAnimationFrame(step)
    draw(state)
  }
  state.playing = 0
  state.frame = requestAnimationFrame(step)
}

function whole(state) {
  if (!isPlaying(state)) return
  cancelAnimationFrame(state.frame)
  state.playing = null
  state.root.toggleAttribute("data-playing", false)
  for (const own of OWN) document.removeEventListener(own, state.stop, { capture: true })
  draw(state)
}

function playFirst(state) {
  if (played || !state.data.plays) return
  played = true
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play(state)
}

function listen(state, box) {
  const epoch = (event) => {
    const [from, to] = state.zoom || [0, state.data.epochs]
    const value = box.toEpoch(event.clientX - box.plot.getBoundingClientRect().left)
    return Math.round(Math.min(Math.max(value, from), to))
  }
  box.plot.onpointermove = (event) => {
    whole(state)
    state.hover = epoch(event)
    if (state.drag) state.drag = [state.drag[0], state.hover]
    draw(state)
  }
  box.plot.onpointerdown = (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return
    box.plot.setPointerCapture(event.pointerId)
    state.drag = [epoch(event), epoch(event)]
  }
  box.plot.onpointerup = box.plot.onpointercancel = (event) => {
    const drag = state.drag && [state.drag[0], epoch(event)]
    state.drag = null
    if (drag && event.type === "pointerup" && Math.abs(drag[1] - drag[0]) >= 2)
      state.zoom = [Math.min(...drag), Math.max(...drag)]
    draw(state)
  }
  box.plot.onpointerleave = () => {
    if (state.drag) return
    state.hover = null
    draw(state)
  }
  box.plot.ondblclick = () => {
    state.zoom = null
    draw(state)
  }
  box.plot.onblur = box.plot.onpointerleave
  box.plot.onkeydown = (event) => {
    const [from, to] = state.zoom || [0, state.data.epochs]
    const middle = state.hover ?? Math.round((from + to) / 2)
    const step = Math.max(1, Math.round((to - from) / 100))
    if (event.key === "ArrowLeft") state.hover = Math.max(from, middle - step)
    else if (event.key === "ArrowRight") state.hover = Math.min(to, middle + step)
    else if (event.key === "+" || event.key === "=") {
      const half = Math.max(2, (to - from) / 4)
      const start = Math.max(0, Math.round(middle - half))
      state.zoom = [start, Math.min(state.data.epochs, Math.round(start + 2 * half))]
    } else if (event.key === "-" || event.key === "Escape") {
      state.zoom = null
      if (event.key === "Escape") state.hover = null
    } else return
    event.preventDefault()
    draw(state)
  }
}

// As many columns as fit and fill their rows, and the height at which all rows are to be seen.
function arrange(state) {
  const count = state.data.panels.length
  const fit = Math.max(1, Math.floor((state.root.clientWidth + GAP) / (COLUMN + GAP)))
  const rows = Math.ceil(count / fit)
  state.columns = Math.min(fit, Math.ceil(count / rows))
  const high = (innerHeight - ABOVE) / rows - AROUND
  state.tall = fit === 1 ? NARROW : Math.round(Math.max(LOW, Math.min(HIGH, high)))
}

function draw(state) {
  const { data, root } = state
  arrange(state)
  root.style.setProperty("--plot", `${state.tall}px`)
  root.style.setProperty("--columns", state.columns)
  const shown = new Set(["foot"])
  for (const panel of data.panels) {
    shown.add(panel.id)
    let box = state.boxes.get(panel.id)
    if (!box) {
      const section = node(root, "section", panel.id, "panel")
      box = { head: node(section, "div", "head", "head"), legend: node(section, "div", "legend", "legend") }
      box.plot = set(node(section, "svg", "plot", "plot"), { role: "img", tabindex: "0" })
      box.empty = node(section, "p", "empty", "empty")
      state.boxes.set(panel.id, box)
      listen(state, box)
    }
    drawPanel(state, panel, box)
  }
  for (const id of state.boxes.keys()) if (!shown.has(id)) state.boxes.delete(id)
  keep(root, shown)
  const foot = node(root, "div", "foot", "foot")
  if (root.lastChild !== foot) root.appendChild(foot)
  const reset = set(node(foot, "button", "reset", "reset"), { type: "button" })
  put(reset, "Show all epochs")
  reset.toggleAttribute("hidden", !state.zoom)
  reset.onclick = () => {
    state.zoom = null
    draw(state)
  }
  const again = set(node(foot, "button", "again", "reset"), { type: "button" })
  put(again, isPlaying(state) ? "❚❚ Show all" : "▶ Play")
  again.toggleAttribute("hidden", !data.plays)
  again.onclick = () => (isPlaying(state) ? whole(state) : play(state))
  const [from, to] = state.zoom || [0, 0]
  put(
    node(foot, "span", "note"),
    state.zoom
      ? `Zoomed to epochs ${from.toLocaleString("en")}–${to.toLocaleString("en")}.`
      : `${data.note} ${HINT}`,
  )
}

let begun = false
// Once for each time that the app is opened.
let played = false

// The charts of other screens need a library that takes a browser a second to start: better at rest than at a click.
function startAhead(script) {
  if (begun || !script) return
  begun = true
  const start = () => import(new URL(script, document.baseURI).href).catch(() => {})
  setTimeout(() => (window.requestIdleCallback || setTimeout)(start), AT_REST)
}

export default function (component) {
  const {
    data: [data],
    parentElement,
  } = component
  let state = states.get(parentElement)
  if (!state) {
    const root = element(parentElement, "div", "curves")
    state = { root, boxes: new Map(), zoom: null, hover: null, drag: null, playing: null }
    state.stop = (event) => {
      if (!event.composedPath().some((part) => part.dataset?.key === "again")) whole(state)
    }
    state.watch = new ResizeObserver(() => state.data && draw(state))
    state.watch.observe(root)
    states.set(parentElement, state)
  }
  if (!state.data || state.data.run !== data.run) {
    state.zoom = state.hover = null
    if (state.data) whole(state)
  }
  state.data = data
  state.root.dataset.run = data.run
  playFirst(state)
  draw(state)
  startAhead(data.ahead)
  return () => {
    whole(state)
    state.watch.disconnect()
    states.delete(parentElement)
    state.root.remove()
  }
}
