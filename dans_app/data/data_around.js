// The network around one entity: it in the middle, a spoke for each relation and direction, a leaf for each neighbour.
// Names reach the page only through textContent and attributes.

import { element, shape, written } from "../../dans_lab/scripts/elements.js"

const GAP = 0.8 // slots between two groups
const states = new WeakMap()
const ruler = document.createElement("canvas").getContext("2d")

const at = (scene, angle, radius) => [scene.x + radius * Math.cos(angle), scene.y + radius * Math.sin(angle)]

let family = "sans-serif"

function fitted(text, size, room) {
  ruler.font = `${size}px ${family}`
  if (ruler.measureText(text).width <= room) return text
  let few = 0
  let many = text.length
  while (many - few > 1) {
    const half = (few + many) >> 1
    if (ruler.measureText(text.slice(0, half) + "…").width <= room) few = half
    else many = half
  }
  return few ? text.slice(0, few) + "…" : ""
}

// A word along a ray, from one radius to another, never upside down.
function along(parent, scene, angle, from, to, text, size, className, end = false) {
  const left = Math.cos(angle) < 0
  const short = fitted(text, size, to - from)
  const [x, y] = at(scene, angle, end ? to : from)
  const degrees = (angle * 180) / Math.PI + (left ? 180 : 0)
  const made = shape(
    parent,
    "text",
    {
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${degrees.toFixed(2)})`,
      "text-anchor": left !== end ? "end" : "start",
      "font-size": size,
      dy: "0.34em",
    },
    className,
  )
  made.textContent = short
}

// Where everything goes: an angle for each leaf, and for each of those one step further that are not leaves themselves.
function placed(data) {
  const leaves = new Set(data.groups.flatMap((group) => group.items.map((item) => item.id)))
  const owners = new Map()
  const chords = []
  for (const link of data.further) {
    if (leaves.has(link.id)) chords.push(link)
    else owners.set(link.near, [...(owners.get(link.near) ?? []), link])
  }
  const first = new Map()
  const groups = data.groups.map((group) => ({
    ...group,
    items: group.items.map((item) => {
      const leaf = {
        ...item,
        children: first.has(item.id) ? [] : (owners.get(item.id) ?? []).map((link) => ({ ...link })),
      }
      if (!first.has(item.id)) first.set(item.id, leaf)
      return leaf
    }),
  }))
  const size = (leaf) => Math.max(1, leaf.children.length)
  const slots = groups.reduce(
    (sum, group) => sum + GAP + group.items.reduce((part, leaf) => part + size(leaf), 0),
    0,
  )
  const step = (2 * Math.PI) / Math.max(slots, 6)
  let turn = -Math.PI / 2 + (GAP / 2) * step
  for (const group of groups) {
    const begin = turn
    for (const leaf of group.items) {
      leaf.angle = turn + (size(leaf) * step) / 2
      leaf.children.forEach((child, place) => (child.angle = turn + (place + 0.5) * step))
      turn += size(leaf) * step
    }
    group.angle = (begin + turn) / 2
    group.width = turn - begin
    turn += GAP * step
  }
  return { groups, chords, first, step }
}

function curve(scene, from, to, near, far) {
  const half = (near + far) / 2
  const points = [at(scene, from, near), at(scene, from, half), at(scene, to, half), at(scene, to, far)]
  return `M${points[0]} C${points[1]} ${points[2]} ${points[3]}`
}

function mark(parent, scene, angle, radius, split, color, size) {
  const [x, y] = at(scene, angle, radius)
  const hollow = { stroke: color, "stroke-width": 1.8 }
  if (split === "test")
    shape(
      parent,
      "path",
      {
        d: `M${x} ${y - size * 1.25}l${size * 1.25} ${size * 1.25}l${-size * 1.25} ${size * 1.25}l${-size * 1.25} ${-size * 1.25}z`,
        ...hollow,
      },
      "hollow",
    )
  else if (split === "valid") shape(parent, "circle", { cx: x, cy: y, r: size, ...hollow }, "hollow")
  else shape(parent, "circle", { cx: x, cy: y, r: size, fill: color })
}

// The arrow at the end of a spoke points the way that the relation goes.
function arrow(parent, scene, group, radius) {
  const [x, y] = at(scene, group.angle, radius)
  const degrees = (group.angle * 180) / Math.PI + (group.out ? 0 : 180)
  shape(parent, "path", {
    d: "M6 0L-5 -5.5L-2.5 0L-5 5.5z",
    fill: group.color,
    transform: `translate(${x} ${y}) rotate(${degrees})`,
  })
}

function pressable(state, target, id, words) {
  target.setAttribute("tabindex", "0")
  target.setAttribute("role", "button")
  target.setAttribute("aria-label", words)
  target.dataset.id = id
  const go = () => id !== state.data.entity && state.pick(id)
  target.onclick = go
  target.onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return
    event.preventDefault()
    go()
  }
  target.onmouseenter = target.onfocus = () => point(state, id, words)
  target.onmouseleave = target.onblur = () => point(state, null, "")
}

function point(state, id, words) {
  state.words.textContent = words || state.resting
  for (const leaf of state.svg.querySelectorAll("[data-id]"))
    leaf.classList.toggle("same", id !== null && leaf.dataset.id === String(id))
}

function single(state, number) {
  state.svg.classList.toggle("single", number !== null)
  for (const part of state.svg.querySelectorAll("[data-group]"))
    part.classList.toggle("on", part.dataset.group === String(number))
}

// Pixels of a window that are taken by what stands above the network, and the least that it has itself.
const ABOVE = 255
const LEAST = 420

function draw(state) {
  const { data, svg } = state
  const wide = state.root.clientWidth
  if (!wide) return
  state.drawnFor = wide
  family = getComputedStyle(state.root).fontFamily || family
  const column = wide >= 720 ? Math.min(290, wide * 0.3) : 0
  const width = wide - column
  const more = data.further.length > 0
  const height = Math.max(Math.min(width, LEAST), Math.min(width, more ? 860 : 700, innerHeight - ABOVE))
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
  svg.style.width = `${width}px`
  svg.style.height = `${height}px`
  state.legend.style.maxHeight = column ? `${height - 8}px` : ""
  svg.replaceChildren()
  svg.setAttribute("aria-label", data.alt)
  const scene = { x: width / 2, y: height / 2 }
  const radius = Math.min(width, height) / 2 - 4
  // On a phone, names need all the room there is.
  const narrow = { hub: 0.24, leaf: 0.38, far: 0.7 }
  const share = !more
    ? { hub: 0.36, leaf: 0.53, far: 1 }
    : radius < 220
      ? narrow
      : { hub: 0.27, leaf: 0.4, far: 0.7 }
  const ring = { hub: radius * share.hub, leaf: radius * share.leaf, far: radius * share.far }
  const { groups, chords, first, step } = placed(data)
  const font = (from) => Math.max(8.5, Math.min(12.5, step * from * 0.92))
  for (const link of chords) {
    const [from, to] = [first.get(link.near)?.angle, first.get(link.id)?.angle]
    if (from === undefined || to === undefined) continue
    const chord = shape(
      svg,
      "path",
      {
        d: `M${at(scene, from, ring.leaf)} Q${at(scene, (from + to) / 2, ring.hub * 0.6)} ${at(scene, to, ring.leaf)}`,
      },
      "chord",
    )
    shape(chord, "title").textContent = link.words
  }
  const inside = pill(data.name, ring.hub)
  groups.forEach((group, number) => {
    const part = shape(svg, "g", { "data-group": number }, "group")
    const ink = { stroke: group.color, "stroke-dasharray": group.dash }
    shape(
      part,
      "path",
      { d: `M${at(scene, group.angle, 14)} L${at(scene, group.angle, ring.hub)}`, ...ink },
      "spoke",
    )
    if (group.width * ring.hub * 0.7 > 11 && ring.hub > 70) {
      along(
        part,
        scene,
        group.angle,
        edge(inside, group.angle) + 6,
        ring.hub - 9,
        group.relation,
        11,
        "relation",
        true,
      )
    }
    for (const leaf of group.items) {
      shape(part, "path", { d: curve(scene, group.angle, leaf.angle, ring.hub, ring.leaf), ...ink }, "branch")
      const holder = shape(part, "g", {}, "leaf")
      for (const child of leaf.children) {
        shape(part, "path", { d: curve(scene, leaf.angle, child.angle, ring.leaf + 4, ring.far) }, "further")
        const beyond = shape(part, "g", {}, "leaf beyond")
        mark(beyond, scene, child.angle, ring.far, "train", "currentColor", 2.5)
        along(beyond, scene, child.angle, ring.far + 7, radius, child.name, font(ring.far) * 0.95, "name")
        pressable(state, beyond, child.id, `${child.words}. Go to ${child.name}.`)
      }
      mark(holder, scene, leaf.angle, ring.leaf, leaf.split, group.color, 4)
      along(
        holder,
        scene,
        leaf.angle,
        ring.leaf + 9,
        more ? ring.far - 10 : radius,
        leaf.name,
        font(ring.leaf),
        "name",
      )
      const [head, tail] = group.out ? [data.name, leaf.name] : [leaf.name, data.name]
      pressable(
        state,
        holder,
        leaf.id,
        `${head} – ${group.relation} → ${tail} (${leaf.split}). Go to ${leaf.name}.`,
      )
    }
    arrow(part, scene, group, ring.hub)
  })
  middle(svg, scene, inside)
  caption(state, groups)
}

// The name in the middle: what fits between the ends of the spokes, and half its width and height.
function pill(name, room) {
  const size = 13
  const text = fitted(name, size * 1.08, Math.max(1.3 * room, 60))
  ruler.font = `600 ${size}px ${family}`
  return { text, size, half: ruler.measureText(text).width / 2 + 10, high: 14 }
}

// How far from the middle the pill ends in this direction.
const edge = ({ half, high }, angle) =>
  Math.min(half / Math.max(Math.abs(Math.cos(angle)), 0.01), high / Math.max(Math.abs(Math.sin(angle)), 0.01))

function middle(svg, scene, { text, size, half, high }) {
  shape(
    svg,
    "rect",
    { x: scene.x - half, y: scene.y - high, width: 2 * half, height: 2 * high, rx: high },
    "middle",
  )
  shape(
    svg,
    "text",
    { x: scene.x, y: scene.y, dy: "0.35em", "text-anchor": "middle", "font-size": size },
    "me",
  ).textContent = text
}

function caption(state, groups) {
  state.legend.replaceChildren()
  groups.forEach((group, number) => {
    const line = element(state.legend, "li")
    const sample = shape(line, "svg", { width: 26, height: 10, "aria-hidden": "true" })
    shape(sample, "path", {
      d: "M1 5H25",
      stroke: group.color,
      "stroke-width": 2.5,
      "stroke-dasharray": group.dash,
    })
    written(line, "span", "way", group.out ? "→" : "←").title = group.out
      ? "it is the head"
      : "it is the tail"
    written(line, "span", "what", group.relation).title = group.relation
    const count =
      group.items.length === group.total
        ? `${group.total}`
        : `${group.items.length} of ${group.total.toLocaleString("en")}`
    written(line, "span", "count", count)
    line.onmouseenter = () => single(state, number)
    line.onmouseleave = () => single(state, null)
  })
}

export default function (component) {
  const {
    data: [data],
    parentElement,
    setTriggerValue,
  } = component
  let state = states.get(parentElement)
  if (!state) {
    const root = element(parentElement, "div", "around")
    const row = element(root, "div", "row")
    const svg = shape(row, "svg", { role: "group" }, "network")
    const legend = element(row, "ul", "legend", { tabindex: 0 })
    const words = element(root, "p", "words")
    state = { root, svg, legend, words }
    state.resting =
      "Point at a neighbour to read the triplet, press it to go there. ● train, ○ valid, ◇ test; arrows point from head to tail."
    states.set(parentElement, state)
    state.observer = new ResizeObserver(
      () => Math.abs(state.root.clientWidth - (state.drawnFor ?? 0)) > 1 && draw(state),
    )
    state.observer.observe(root)
  }
  state.pick = (id) => setTriggerValue("picked", id)
  const same = JSON.stringify(data) === state.text
  state.data = data
  state.text = JSON.stringify(data)
  if (!same) {
    draw(state)
    state.words.textContent = state.resting
  }
  return () => {
    state.observer.disconnect()
    states.delete(parentElement)
    state.root.remove()
  }
}
