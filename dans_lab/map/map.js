// The map, last part: its controls and what a person does with them. Everything happens here, without the server,
// which hears of it at rest. Names reach the page only through textContent and attributes.

import { element, put } from "../scripts/elements.js"
import { describe, drawPlate, say, tell } from "./map_drawing.js"
import { colourBar, drawLegend, savePicture } from "./map_legend.js"
import { alone, frameOf, prepare, scale } from "./map_scene.js"

const REST = 500 // milliseconds without a change before the server is told
const STEP = 900 // milliseconds an epoch stays while playing
const GLIDE = 350 // milliseconds in which points move from one epoch to the next
const ABOVE = 250 // pixels of a window that are taken by what stands above and below the map
const REACH = 14 // pixels within which the pointer finds a marker
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches
const states = new WeakMap()

function build(state) {
  const root = state.root
  state.legend = element(root, "div", "legend", { role: "group", "aria-label": "Layers" })
  state.bar = element(root, "div", "scale")
  const foot = element(root, "div", "foot")
  state.play = element(foot, "button", "play", { type: "button" })
  state.play.onclick = () => (state.playing ? pause(state) : play(state))
  state.slider = element(foot, "input", "epochs", { type: "range", min: 0, step: 1, "aria-label": "Epoch" })
  state.slider.oninput = () => {
    pause(state)
    go(state, Number(state.slider.value))
  }
  state.now = element(foot, "output", "now")
  const tools = element(foot, "span", "tools", { role: "group", "aria-label": "Tools" })
  const tool = (name, label, title, action) => {
    const button = element(tools, "button", "tool", { type: "button", title, "aria-label": title })
    button.textContent = label
    button.onclick = action
    state.tools[name] = button
  }
  tool("lasso", "Lasso", "Draw around points to select them; off: drag moves the picture", () => {
    state.tool = state.tool === "lasso" ? "pan" : "lasso"
    draw(state)
  })
  tool("in", "+", "Zoom in", () => zoomBy(state, 1.5))
  tool("out", "−", "Zoom out", () => zoomBy(state, 1 / 1.5))
  tool("fit", "Fit", "The whole picture; once more: the points of this epoch alone", () => {
    const whole = state.zoom.x === 0 && state.zoom.y === 0 && state.zoom.k === 1
    state.zoom = { x: 0, y: 0, k: 1 }
    if (whole) fitEpoch(state)
    draw(state)
  })
  tool("clear", "Clear", "Select nothing", () => select(state, []))
  tool("png", "PNG", "Save this picture", () => {
    savePicture(state)
    draw(state)
  })
  // Below its controls, since it may be taller than the window.
  state.grid = element(root, "div", "plates")
  state.hint = element(root, "p", "hint")
  state.live = element(root, "span", "unseen", { "aria-live": "polite" })
}

// One map, its controls and what stands above them are to be seen at once.
function heightOf(width) {
  return Math.max(300, Math.min(560, Math.max(380, width * 0.62), innerHeight - ABOVE))
}

function draw(state) {
  if (!state.data) return
  state.root.dataset.zoom = `${state.zoom.x} ${state.zoom.y} ${state.zoom.k}`
  drawLegend(state, (layer) => toggle(state, layer))
  colourBar(state)
  state.plates.forEach((plate, i) => {
    const box = state.boxes[i]
    box.width = Math.max(200, box.holder.clientWidth)
    box.height = state.plates.length > 1 ? 420 : heightOf(box.width)
    box.canvas.style.height = `${box.height}px`
    box.canvas.style.cursor = state.tool === "lasso" ? "crosshair" : "grab"
    box.canvas.style.touchAction = state.tool === "lasso" ? "none" : "pan-y"
    box.title.toggleAttribute("hidden", state.plates.length === 1)
    put(box.title, plate.title)
    drawPlate(state, plate, box)
    box.canvas.setAttribute("aria-label", describe(state, plate))
    const single = alone(state, plate)
    put(
      box.note,
      `${single ? `${single.method} of epoch ${single.epoch.toLocaleString("en")} alone` : `${plate.method} of ${plate.epochs.length > 1 ? `all ${plate.epochs.length} snapshots together` : "this snapshot"}`} · epoch ${plate.epochs[frameOf(state, plate, state.position)].toLocaleString("en")}${box.outside ? ` · ${say(box.outside, "point", "points")} outside, zoom out to see` : ""}`,
    )
  })
  const epoch = state.epochs[state.position]
  state.slider.max = state.epochs.length - 1
  state.slider.value = state.position
  state.slider.style.setProperty(
    "--share",
    `${(100 * state.position) / Math.max(1, state.epochs.length - 1)}%`,
  )
  state.slider.disabled = state.play.disabled = state.epochs.length < 2
  state.slider.setAttribute("aria-valuetext", `epoch ${epoch.toLocaleString("en")}`)
  put(
    state.now,
    `epoch ${epoch.toLocaleString("en")}${state.data.live && state.following ? ", following the run" : ""}`,
  )
  put(state.play, state.playing ? "❚❚ Pause" : "▶ Play")
  state.tools.lasso.setAttribute("aria-pressed", state.tool === "lasso")
  state.tools.clear.toggleAttribute("hidden", !state.selected.size)
  const chosen = state.selected.size ? `${say(state.selected.size, "point", "points")} selected. ` : ""
  put(
    state.hint,
    chosen +
      (matchMedia("(hover: none)").matches
        ? "Tap a point to read and select it."
        : "Drag moves, Ctrl and wheel zooms, click selects. Keyboard: ← → epoch, space plays, ↑ ↓ go through the points, Enter selects, + − 0 zoom."),
  )
  tip(state)
}

function tip(state) {
  for (const box of state.boxes) {
    const here = state.hover && state.hover.box === box
    box.tip.toggleAttribute("hidden", !here)
    if (!here) continue
    const lines = tell(state, state.plates[state.boxes.indexOf(box)], state.hover.mark)
    box.tip.replaceChildren()
    for (const [text, strong] of lines) put(element(box.tip, strong ? "strong" : "span"), text)
    const { x, y } = state.hover.mark
    const wide = Math.min(330, box.width - 16)
    box.tip.style.maxWidth = `${wide}px`
    const left = Math.min(Math.max(8, x + 14), box.width - Math.min(wide, box.tip.offsetWidth) - 8)
    const above = y > box.height / 2
    box.tip.style.left = `${left}px`
    box.tip.style.top = above ? "" : `${box.canvas.offsetTop + y + 14}px`
    box.tip.style.bottom = above ? `${box.holder.clientHeight - box.canvas.offsetTop - y + 14}px` : ""
  }
}

// --- what a person does ----------------------------------------------------------------------------------------

function go(state, position, glide = true) {
  if (position === state.position) return
  state.previous = state.position
  state.position = position
  state.following = position === state.epochs.length - 1
  rest(state)
  const moves = glide && !still() && state.plates.every((plate) => !alone(state, plate))
  state.glide = moves ? 0 : 1
  cancelAnimationFrame(state.frame)
  const start = performance.now()
  const step = (now) => {
    state.glide = moves ? Math.min(1, (now - start) / GLIDE) : 1
    state.root.toggleAttribute("data-moving", state.glide < 1)
    draw(state)
    if (state.glide < 1) state.frame = requestAnimationFrame(step)
  }
  step(start)
}

function play(state) {
  if (state.epochs.length < 2) return
  state.playing = true
  if (state.position === state.epochs.length - 1) go(state, 0, false)
  state.clock = setInterval(() => {
    if (state.position === state.epochs.length - 1) pause(state)
    else go(state, state.position + 1)
  }, STEP)
  draw(state)
}

function pause(state) {
  if (!state.playing) return
  state.playing = false
  clearInterval(state.clock)
  rest(state)
  draw(state)
}

// Tell the server once nothing has changed for a moment.
function rest(state) {
  clearTimeout(state.timer)
  state.root.toggleAttribute("data-telling", true)
  state.timer = setTimeout(() => {
    if (state.playing) return rest(state)
    state.root.toggleAttribute("data-telling", false)
    const at = JSON.stringify({
      run: state.data.token,
      epoch: state.following ? null : state.epochs[state.position],
      layers: state.data.layerNames.map((layer) => layer.id).filter((id) => state.layers.has(id)),
      selection: [...state.selected],
    })
    if (at === state.told) return
    state.told = at
    state.setStateValue?.("at", JSON.parse(at))
  }, REST)
}

// Show a layer, or hide it.
function toggle(state, layer) {
  if (!state.layers.delete(layer)) state.layers.add(layer)
  rest(state)
  draw(state)
}

function select(state, keys) {
  state.selected = new Set(keys)
  rest(state)
  draw(state)
}

function zoomBy(state, factor, box = state.boxes[0], x = null, y = null) {
  const plate = state.plates[state.boxes.indexOf(box)]
  const before = scale(state, plate, box)
  state.zoom.k = Math.min(60, Math.max(0.3, state.zoom.k * factor))
  const after = scale(state, plate, box)
  if (x !== null) {
    state.zoom.x += (x - box.width / 2) * (1 / before - 1 / after)
    state.zoom.y -= (y - box.height / 2) * (1 / before - 1 / after)
  }
  draw(state)
}

// Zoom to what is drawn of the chosen relation at this epoch.
function fitEpoch(state) {
  draw(state)
  const [box] = state.boxes
  const marks = box.marks.filter((mark) => mark.layer !== "others")
  if (!marks.length) return
  const ends = (axis) => [Math.min(...marks.map((m) => m[axis])), Math.max(...marks.map((m) => m[axis]))]
  const [[left, right], [top, bottom]] = [ends("x"), ends("y")]
  const size = scale(state, state.plates[0], box)
  state.zoom.x = ((left + right) / 2 - box.width / 2) / size
  state.zoom.y = (box.height / 2 - (top + bottom) / 2) / size
  const edge = 60
  state.zoom.k = Math.min(
    20,
    (box.width - edge) / Math.max(right - left, 1),
    (box.height - edge) / Math.max(bottom - top, 1),
  )
}

function markAt(box, x, y) {
  let best = null
  let apart = Infinity
  for (const mark of box.marks) {
    const d = Math.hypot(mark.x - x, mark.y - y) - mark.size
    // Later layers lie on top, and faint ones give way.
    if (d < REACH - mark.size / 2 && d - (mark.layer === "others" ? 0 : 4) <= apart) {
      best = mark
      apart = d - (mark.layer === "others" ? 0 : 4)
    }
  }
  return best
}

function within(points, x, y) {
  let inside = false
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    const [xi, yi] = points[i]
    const [xj, yj] = points[j]
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside
  }
  return inside
}

function listen(state, box) {
  const { canvas } = box
  const at = (event) => {
    const rect = canvas.getBoundingClientRect()
    return [event.clientX - rect.left, event.clientY - rect.top]
  }
  canvas.onpointerdown = (event) => {
    if (event.button !== 0) return
    const [x, y] = at(event)
    state.down = { x, y, moved: false, touch: event.pointerType !== "mouse" }
    if (state.tool === "lasso") {
      state.lasso = { box, points: [[x, y]] }
      canvas.setPointerCapture(event.pointerId)
    } else if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId)
  }
  canvas.onpointermove = (event) => {
    const [x, y] = at(event)
    if (state.down) {
      const [dx, dy] = [x - state.down.x, y - state.down.y]
      if (Math.hypot(dx, dy) > 4) state.down.moved = true
      if (state.lasso) state.lasso.points.push([x, y])
      else if (state.down.moved && !state.down.touch) {
        const size = scale(state, state.plates[state.boxes.indexOf(box)], box)
        state.zoom.x -= dx / size
        state.zoom.y += dy / size
        Object.assign(state.down, { x, y })
      }
      if (state.down.moved || state.lasso) draw(state)
      return
    }
    const mark = markAt(box, x, y)
    if (mark?.x !== state.hover?.mark.x || mark?.layer !== state.hover?.mark.layer) {
      state.hover = mark && { box, mark }
      draw(state)
    }
  }
  canvas.onpointerup = (event) => {
    const [x, y] = at(event)
    const { down, lasso } = state
    state.down = state.lasso = null
    if (!down) return
    if (lasso && lasso.points.length > 3 && down.moved) {
      const found = box.marks
        .filter((m) => m.layer !== "others")
        .flatMap((m) => m.members)
        .filter((m) => within(lasso.points, m.x, m.y))
      select(state, [...(event.shiftKey ? state.selected : []), ...found.map((m) => m.key)])
    } else if (!down.moved) {
      const mark = markAt(box, x, y)
      state.hover = mark && { box, mark }
      const keys = mark ? mark.members.map((m) => m.key) : []
      select(state, event.shiftKey ? [...state.selected, ...keys] : keys)
    } else draw(state)
  }
  canvas.onpointercancel = () => {
    state.down = state.lasso = null
    draw(state)
  }
  const leave = () => {
    if (state.down || !state.hover) return
    state.hover = null
    draw(state)
  }
  // A finger leaves as soon as it is lifted, and then one reads.
  canvas.onpointerleave = (event) => event.pointerType === "touch" || leave()
  canvas.onblur = leave
  canvas.ondblclick = (event) => zoomBy(state, event.shiftKey ? 0.5 : 2, box, ...at(event))
  // The wheel scrolls the page; with Ctrl (and by a pinch on a touch pad) it zooms.
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      zoomBy(state, Math.exp(-event.deltaY / 300), box, ...at(event))
    },
    { passive: false },
  )
  canvas.onkeydown = (event) => {
    const walk = (step) => {
      const marks = box.marks.filter((mark) => mark.layer !== "others")
      if (!marks.length) return
      const here = marks.findIndex((m) => m.x === state.hover?.mark.x && m.layer === state.hover?.mark.layer)
      const mark = marks[(here + step + marks.length) % marks.length]
      state.hover = { box, mark }
      draw(state)
      put(
        state.live,
        tell(state, state.plates[state.boxes.indexOf(box)], mark)
          .map(([text]) => text)
          .join(", "),
      )
    }
    const actions = {
      ArrowLeft: () => (pause(state), go(state, Math.max(0, state.position - 1))),
      ArrowRight: () => (pause(state), go(state, Math.min(state.epochs.length - 1, state.position + 1))),
      ArrowUp: () => walk(-1),
      ArrowDown: () => walk(1),
      " ": () => (state.playing ? pause(state) : play(state)),
      "+": () => zoomBy(state, 1.5),
      "=": () => zoomBy(state, 1.5),
      "-": () => zoomBy(state, 1 / 1.5),
      0: () => state.tools.fit.onclick(),
      Enter: () =>
        state.hover && select(state, [...state.selected, ...state.hover.mark.members.map((m) => m.key)]),
      Escape: () => ((state.hover = null), select(state, [])),
    }
    const action = actions[event.key]
    if (!action || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    action()
  }
}

// --- from the server -------------------------------------------------------------------------------------------

function take(state, data) {
  const first = !state.data || state.data.token !== data.token
  const old = state.epochs
  const before = state.plates
  const epoch = old?.[state.position]
  state.data = data
  state.plates = data.plates.map((plate, i) => prepare(plate, before?.[i]))
  // One scale for all pictures.
  const ends = (name) => state.plates.map((plate) => plate.view.ownRange[name])
  const range = {}
  for (const name of ["hardness", "opinion"])
    range[name] = [Math.min(...ends(name).map((e) => e[0])), Math.max(...ends(name).map((e) => e[1]))]
  for (const plate of state.plates) plate.view.range = range
  state.looks = Object.fromEntries(data.layerNames.map((layer) => [layer.id, layer]))
  state.epochs = [...new Set(state.plates.flatMap((plate) => plate.epochs))].sort((a, b) => a - b)
  if (before && !first && before[0].view.relation !== state.plates[0].view.relation) {
    const kept = [...state.selected].filter((key) => key.startsWith("e:"))
    if (kept.length < state.selected.size) rest(state)
    state.selected = new Set(kept)
  }
  if (first) {
    state.zoom = { x: 0, y: 0, k: 1 }
    state.layers = new Set(data.layers)
    state.selected = new Set(data.selection)
    state.following = data.epoch === null
    state.told = null
    pause(state)
  }
  const wanted = first ? data.epoch : state.following ? null : epoch
  const last = state.epochs.length - 1
  const found = wanted === null ? last : state.epochs.findLastIndex((each) => each <= wanted)
  if (!first && state.following && !state.playing && old && last > old.length - 1) {
    // A live run has a new snapshot: the points glide on to it.
    state.position = Math.min(state.position, last)
    go(state, last)
  } else {
    state.position = state.playing ? Math.min(state.position, last) : Math.max(0, found)
    state.previous = Math.min(state.previous ?? 0, last)
    state.glide = 1
  }
  while (state.boxes.length > state.plates.length) state.boxes.pop().holder.remove()
  while (state.boxes.length < state.plates.length) {
    const holder = element(state.grid, "div", "plate")
    const box = { holder, title: element(holder, "h4", "title"), marks: [] }
    box.canvas = element(holder, "canvas", "canvas", { role: "img", tabindex: "0" })
    box.note = element(holder, "span", "note")
    box.tip = element(holder, "div", "tip", { hidden: "" })
    state.boxes.push(box)
    listen(state, box)
  }
  state.root.dataset.token = data.token
  draw(state)
}

// Draw the map into an element, or update it there; gives what takes it away. `setStateValue` hears at rest of what a
// person did.
export function drawMap(component) {
  const {
    data: [data],
    parentElement,
    setStateValue,
  } = component
  let state = states.get(parentElement)
  if (!state) {
    const root = element(parentElement, "div", "map")
    state = { root, boxes: [], tools: {}, tool: "pan", hover: null, glide: 1, playing: false, position: 0 }
    build(state)
    state.watch = new ResizeObserver(() => draw(state))
    state.watch.observe(root)
    states.set(parentElement, state)
  }
  state.setStateValue = setStateValue
  take(state, data)
  return () => {
    clearTimeout(state.timer)
    clearInterval(state.clock)
    cancelAnimationFrame(state.frame)
    state.watch.disconnect()
    states.delete(parentElement)
    state.root.remove()
  }
}
