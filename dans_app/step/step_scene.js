// The map of a stop: where everything is, and the drawing of it. Places are those of a plane of PCA, so directions and
// gaps in it are true.

import { element, put, shape, written } from "../../dans_lab/scripts/elements.js"

const MARK = 6 // pixels from the middle of a fake to its edge
const ARROW = 76 // pixels of the longest arrow of a round
const EDGE = 30 // pixels around what is looked at
const SHAPES = {
  G_E: (r) => `M0 ${-r}L${r} 0L0 ${r}L${-r} 0Z`,
  G_R: (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
}

// What the map shows at a stop: points by key with their places, arrows, and the part that is looked at.
export function sceneOf(round, stop, near) {
  const { view } = stop
  const { map } = round
  const points = new Map()
  const entities = view.moved ? map.after : map.entities
  entities.forEach(([x, y], i) => points.set(`e${i}`, { kind: "entity", id: i, x, y }))
  const arrows = []
  const ghosts = []
  for (const [name, at] of Object.entries(view.fakes)) {
    const { before, after } = map.fakes[name]
    ;(at ? after : before).forEach(([x, y], i) => points.set(`${name}${i}`, { kind: name, id: i, x, y }))
    if (view.ghosts === name) before.forEach(([x, y], i) => ghosts.push({ kind: name, id: i, x, y }))
    if (view.arrows === name)
      map.pulls[name].forEach(([dx, dy], i) =>
        arrows.push({ kind: name, x: before[i][0], y: before[i][1], dx, dy }),
      )
  }
  return { points, ghosts, arrows, drawn: new Set(view.drawn), bounds: boundsOf(round, stop, near) }
}

function boundsOf(round, stop, near) {
  const { map } = round
  const every = [
    ...map.entities,
    ...map.after,
    ...Object.values(map.fakes).flatMap((f) => [...f.before, ...f.after]),
  ]
  const whole = around(every)
  const { focus } = stop.view
  if (!near || focus === "all") return { ...whole, far: 1 }
  const looked =
    focus === "fakes"
      ? [...Object.values(map.fakes).flatMap((f) => f.after), map.entities[round.answer]]
      : [...map.fakes[focus].before, ...map.fakes[focus].after]
  const close = around(looked)
  // Not so near that a tiny step looks like a journey.
  const least = focus === "fakes" ? 1 : 1.5
  const grow = (size, full) => Math.max(least * size, full / 10)
  return { ...close, far: 0, w: grow(close.w, whole.w), h: grow(close.h, whole.h) }
}

function around(places) {
  const [xs, ys] = [0, 1].map((axis) => places.map((place) => place[axis]))
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  return { x: (left + right) / 2, y: (low + high) / 2, w: right - left || 1, h: high - low || 1 }
}

// Between two scenes, at a share of the way.
export function between(from, to, way) {
  if (!from || way >= 1) return to
  const mix = (a, b) => a + (b - a) * way
  const points = new Map()
  for (const [key, point] of to.points) {
    const old = from.points.get(key) ?? point
    points.set(key, { ...point, x: mix(old.x, point.x), y: mix(old.y, point.y) })
  }
  const bounds = Object.fromEntries(
    Object.keys(to.bounds).map((name) => [name, mix(from.bounds[name], to.bounds[name])]),
  )
  return { ...to, points, bounds }
}

export function buildMap(parent) {
  const svg = shape(parent, "svg", { role: "img" }, "scene")
  const layers = {}
  for (const name of ["entities", "ghosts", "arrows", "fakes", "names"])
    layers[name] = shape(svg, "g", {}, name)
  return { svg, layers, marks: new Map() }
}

export function drawMap(map, scene, round, data) {
  const { svg, layers } = map
  const width = Math.max(260, svg.clientWidth)
  const height = Math.max(200, svg.clientHeight)
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
  const { x: cx, y: cy, w, h, far } = scene.bounds
  svg.classList.toggle("far", far > 0.5)
  const scale = Math.min((width - 2 * EDGE) / w, (height - 2 * EDGE) / h)
  const place = ({ x, y }) => [width / 2 + (x - cx) * scale, height / 2 - (y - cy) * scale]
  const seen = new Set()
  for (const [key, point] of scene.points) {
    seen.add(key)
    const [x, y] = place(point)
    const mark = map.marks.get(key) ?? made(map, key, point, data)
    mark.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`)
    if (point.kind !== "entity") continue
    const part =
      point.id === round.head
        ? "head"
        : point.id === round.tail
          ? "tail"
          : scene.drawn.has(point.id)
            ? "drawn"
            : ""
    mark.setAttribute("class", `entity ${part}`)
  }
  for (const [key, mark] of map.marks)
    if (!seen.has(key)) {
      mark.remove()
      map.marks.delete(key)
    }
  for (const name of ["ghosts", "arrows", "names"]) layers[name].replaceChildren()
  for (const ghost of scene.ghosts) {
    const [x, y] = place(ghost)
    const now = place(scene.points.get(`${ghost.kind}${ghost.id}`))
    const way = { x1: x, y1: y, x2: now[0], y2: now[1], stroke: data.looks[ghost.kind].color }
    shape(layers.ghosts, "line", way, "way")
    const at = {
      d: SHAPES[ghost.kind](MARK),
      transform: `translate(${x} ${y})`,
      stroke: data.looks[ghost.kind].color,
    }
    shape(layers.ghosts, "path", at, "ghost")
  }
  for (const arrow of scene.arrows) drawArrow(layers.arrows, place(arrow), arrow, round.longest)
  nameParts(layers.names, scene, round, data, place, width)
}

function made(map, key, point, data) {
  const entity = point.kind === "entity"
  const group = shape(map.layers[entity ? "entities" : "fakes"], "g")
  if (entity) {
    shape(group, "circle", { r: 3 })
    shape(group, "path", { d: "M-4 -4L4 4M-4 4L4 -4" }, "cross")
  } else {
    // The first fake is the one of the formulas.
    const size = point.id === 0 ? MARK + 2 : MARK
    shape(group, "path", { d: SHAPES[point.kind](size), fill: data.looks[point.kind].color })
    const label = shape(group, "text", { x: size + 2, y: 4 }, "number")
    label.textContent = point.id + 1
  }
  shape(group, "title").textContent = entity ? data.names[point.id] : `fake ${point.id + 1} of ${point.kind}`
  map.marks.set(key, group)
  return group
}

function drawArrow(parent, [x, y], { dx, dy }, longest) {
  const length = (ARROW * Math.hypot(dx, dy)) / (longest || 1)
  if (length < 2) return
  const turn = (-Math.atan2(dy, dx) * 180) / Math.PI
  const group = shape(parent, "g", { transform: `translate(${x} ${y}) rotate(${turn})` }, "arrow")
  const tip = Math.min(9, length)
  shape(group, "path", { d: `M0 0H${length - tip / 2}` }, "shaft")
  shape(group, "path", { d: `M${length} 0L${length - tip} ${-tip / 2}V${tip / 2}Z` }, "tip")
}

function nameParts(parent, scene, round, data, place, width) {
  const parts =
    round.head === round.tail
      ? [["head and tail", round.tail]]
      : [
          ["head", round.head],
          ["tail", round.tail],
        ]
  let above = null
  for (const [part, id] of parts) {
    const [x, at] = place(scene.points.get(`e${id}`))
    // Two names side by side would cover each other.
    const y = above !== null && Math.abs(at - above) < 14 ? above + (at < above ? -14 : 14) : at
    above = y
    if (x < -4 || x > width + 4 || y < -4) continue
    const left = x > width / 2
    const text = shape(parent, "text", {
      x: left ? x - 9 : x + 9,
      y: y + 4,
      "text-anchor": left ? "end" : "start",
    })
    text.textContent = `${part}: ${data.names[id]}`
  }
}

export function drawTable(parent, table, looks) {
  parent.replaceChildren()
  written(parent, "caption", "", table.name)
  const top = element(element(parent, "thead"), "tr")
  table.head.forEach((name, i) => {
    const cell = written(top, "th", i ? "" : "mark", name)
    cell.setAttribute("scope", "col")
    if (!i) cell.setAttribute("aria-label", "Source")
  })
  const body = element(parent, "tbody")
  for (const row of table.rows) {
    const line = element(body, "tr")
    row.forEach((text, i) => {
      // A long name may break behind each of its parts.
      if (i) written(line, "td", text.includes("→") ? "changed" : "", text.replaceAll("_", "_\u200b"))
      else {
        const mark = written(line, "td", "mark", looks[text].mark)
        mark.style.color = looks[text].color
        mark.setAttribute("aria-label", looks[text].name)
        mark.title = looks[text].name
      }
    })
  }
}

export function describeMap(svg, round, stop, data) {
  const names = Object.keys(stop.view.fakes)
  const parts = [`Map of ${round.map.entities.length} entities and the fakes of ${names.join(" and ")}`]
  if (stop.view.ghosts) parts.push(`hollow marks show where those of ${stop.view.ghosts} were`)
  if (stop.view.arrows) parts.push(`arrows show where L_G pulls each fake of ${stop.view.arrows}`)
  svg.setAttribute(
    "aria-label",
    `${parts.join("; ")}. Head: ${data.names[round.head]}, tail: ${data.names[round.tail]}; the ${data.side} is asked for.`,
  )
}

export function legend(target, round, stop, near) {
  const parts = ["◆ fake of G_E", "■ fake of G_R", "● entity"].filter((part) =>
    [...Object.keys(stop.view.fakes), "entity"].some((name) => part.includes(name)),
  )
  if (stop.view.ghosts) parts.push("hollow: before the update")
  if (stop.view.drawn.length) parts.push("✕ drawn as a negative")
  if (stop.view.arrows) parts.push("arrow: −∂L_G/∂ẽ, all on one scale")
  const scale = near && stop.view.focus !== "all" ? "close up" : "whole map"
  put(
    target,
    `${parts.join(" · ")} · PCA, ${scale}; its plane holds ${round.held} of the entities’ variance.`,
  )
}
