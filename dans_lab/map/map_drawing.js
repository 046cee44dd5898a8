// The map, second part: the drawing of one picture, and what it says in words.

import { alone, colourOf, entityColour, frameOf, locate, mix, share } from "./map_scene.js"

const STACK = 9 // pixels within which points cannot be told apart and are drawn as one
const TOLD = 3 // members of a stack that are told one by one
const NAMED = 12 // rings and answers that have their names written beside them
const FIELD = 3000 // points that the field is made of at most; of more, every second, third …
const CROWD = 400 // answers from which on they are drawn smaller
const SIZES = { true: 5, "held-out": 5, G_E: 5, G_R: 4.5, random: 3.5 }

function marker(pen, shape, x, y, size) {
  pen.beginPath()
  if (shape === "diamond") {
    pen.moveTo(x, y - size * 1.25)
    pen.lineTo(x + size * 1.25, y)
    pen.lineTo(x, y + size * 1.25)
    pen.lineTo(x - size * 1.25, y)
    pen.closePath()
  } else if (shape === "square") pen.rect(x - size, y - size, 2 * size, 2 * size)
  else if (shape === "x") {
    pen.moveTo(x - size, y - size)
    pen.lineTo(x + size, y + size)
    pen.moveTo(x + size, y - size)
    pen.lineTo(x - size, y + size)
  } else pen.arc(x, y, size, 0, 2 * Math.PI)
}

export function paint(pen, shape, x, y, size, colour, lines) {
  marker(pen, shape, x, y, size)
  if (shape === "x" || shape === "circle-open") {
    pen.strokeStyle = colour
    pen.lineWidth = 1.9
    pen.stroke()
    return
  }
  pen.fillStyle = colour
  pen.fill()
  pen.strokeStyle = lines
  pen.lineWidth = 0.9
  pen.stroke()
}

function isPale(colour) {
  const parts = colour.startsWith("#")
    ? [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16))
    : colour.match(/\d+/g).map(Number)
  return 0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2] > 150
}

// Gather points that could not be told apart on the screen.
function stacks(points) {
  const cells = new Map()
  for (const point of points) {
    const key = `${Math.floor(point.x / STACK)},${Math.floor(point.y / STACK)}`
    const cell = cells.get(key)
    if (cell) cell.push(point)
    else cells.set(key, [point])
  }
  return [...cells.values()].map((members) => ({
    x: members.reduce((sum, m) => sum + m.x, 0) / members.length,
    y: members.reduce((sum, m) => sum + m.y, 0) / members.length,
    members,
  }))
}

// What D_adv thinks of the neighbourhood: a mean over the points around each place, paler where there are few.
function drawField(state, plate, box, pen) {
  const frame = frameOf(state, plate, state.position)
  const [columns, rows] = [72, Math.max(12, Math.round((72 * box.height) / box.width))]
  const sums = new Float32Array(columns * rows)
  const weights = new Float32Array(columns * rows)
  const cell = box.width / columns
  const wide = 2.2
  const stride = Math.ceil(plate.n / FIELD)
  for (let point = 0; point < plate.n; point += stride) {
    const byte = plate.opinion[frame * plate.n + point]
    if (byte === 255) continue
    const [x, y] = locate(state, plate, box, point)
    const [cx, cy] = [x / cell, y / cell]
    if (!(cx > -6 && cy > -6 && cx < columns + 6 && cy < rows + 6)) continue
    for (let row = Math.max(0, Math.floor(cy - 6)); row <= Math.min(rows - 1, cy + 6); row++)
      for (let column = Math.max(0, Math.floor(cx - 6)); column <= Math.min(columns - 1, cx + 6); column++) {
        const apart = (column + 0.5 - cx) ** 2 + (row + 0.5 - cy) ** 2
        const weight = stride * Math.exp(-apart / (2 * wide * wide))
        sums[row * columns + column] += (weight * byte) / 254
        weights[row * columns + column] += weight
      }
  }
  const image = new ImageData(columns, rows)
  for (let i = 0; i < sums.length; i++) {
    if (weights[i] < 0.02) continue
    const colour = mix(state.data.scales.d_adv.stops, share(sums[i] / weights[i], plate.view.range.opinion))
    const parts = colour.match(/\d+/g).map(Number)
    image.data.set([...parts, Math.min(1, weights[i] / 1.5) * 110], 4 * i)
  }
  const small = document.createElement("canvas")
  small.width = columns
  small.height = rows
  small.getContext("2d").putImageData(image, 0, 0)
  pen.imageSmoothingEnabled = true
  pen.drawImage(small, 0, 0, columns * cell, rows * cell)
}

function drawTrails(state, plate, box, pen) {
  const last = frameOf(state, plate, state.position)
  for (const name of ["random", "G_E", "G_R"]) {
    const source = plate.view.sources[name]
    if (!source || !state.layers.has(name)) continue
    source.points.forEach((point, i) => {
      if (point < 0) return
      let [x, y] = locate(state, plate, box, point, 0)
      for (let frame = 1; frame <= last; frame++) {
        const [nx, ny] = locate(state, plate, box, point, frame)
        pen.strokeStyle = colourOf(state, plate, source, [i], frame)
        pen.globalAlpha = 0.55
        pen.lineWidth = 1.2
        pen.beginPath()
        pen.moveTo(x, y)
        pen.lineTo(nx, ny)
        pen.stroke()
        ;[x, y] = [nx, ny]
      }
    })
  }
  pen.globalAlpha = 1
}

// Draw one picture; keeps in `box.marks` what was drawn where, for the pointer.
export function drawPlate(state, plate, box, pen = null) {
  const ratio = window.devicePixelRatio || 1
  if (!pen) {
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)]
    if (box.canvas.width !== width || box.canvas.height !== height) {
      box.canvas.width = width
      box.canvas.height = height
    }
    pen = box.canvas.getContext("2d")
    pen.setTransform(ratio, 0, 0, ratio, 0, 0)
    pen.clearRect(0, 0, box.width, box.height)
  }
  const style = getComputedStyle(state.root)
  const paper = style.getPropertyValue("--paper").trim() || "#fff"
  const ink = style.getPropertyValue("--ink").trim() || "#222"
  const frame = frameOf(state, plate, state.position)
  const { view } = plate
  const grey = state.looks.others.color
  box.marks = []
  box.outside = 0
  let marked = 0
  if (state.data.field) drawField(state, plate, box, pen)
  if (state.layers.has("others")) {
    pen.fillStyle = grey
    pen.globalAlpha = 0.22
    for (const point of view.otherFakes) {
      const [x, y] = locate(state, plate, box, point)
      pen.fillRect(x - 1.2, y - 1.2, 2.4, 2.4)
    }
    const shades = new Map()
    const shade = (point) => {
      const byte = plate.opinion[frame * plate.n + point]
      if (!shades.has(byte)) shades.set(byte, entityColour(state, plate, point, frame, grey))
      return shades.get(byte)
    }
    pen.globalAlpha = state.data.colour === "d_adv" ? 0.7 : 0.42
    for (const point of view.others) {
      const [x, y] = locate(state, plate, box, point)
      if (x < -3 || y < -3 || x > box.width + 3 || y > box.height + 3) continue
      pen.fillStyle = shade(point)
      pen.beginPath()
      pen.arc(x, y, 2.8, 0, 2 * Math.PI)
      pen.fill()
      box.marks.push({
        layer: "others",
        x,
        y,
        size: 3,
        members: [{ key: `e:${plate.ids[point]}`, point, x, y }],
      })
    }
    pen.globalAlpha = 1
  }
  if (state.data.colour === "epoch") drawTrails(state, plate, box, pen)
  for (const name of ["random", "held-out", "true", "G_E", "G_R"]) {
    if (!state.layers.has(name)) continue
    const look = state.looks[name]
    const source = view.sources[name]
    const points = []
    const add = (point, key, extra) => {
      if (point < 0) return
      const [x, y] = locate(state, plate, box, point)
      points.push({ point, key, x, y, ...extra })
      if (x < 0 || y < 0 || x > box.width || y > box.height) box.outside += 1
    }
    if (source)
      source.points.forEach((point, i) =>
        add(point, name === "random" ? `random:${view.headIds[i]}` : `${name}:${view.headIds[i]}`, { i }),
      )
    else if (name === "true")
      view.answers.forEach(([point, count]) => add(point, `e:${plate.ids[point]}`, { count }))
    else if (name === "held-out") view.held.forEach((point) => add(point, `e:${plate.ids[point]}`, {}))
    for (const stack of source ? stacks(points) : points.map((p) => ({ x: p.x, y: p.y, members: [p] }))) {
      const first = stack.members[0]
      const many = stack.members.length
      const size =
        SIZES[name] * (name === "true" && points.length > CROWD ? 0.65 : 1) +
        (name === "random" ? Math.min(many - 1, 4) * 0.6 : Math.min(2 * Math.sqrt(many - 1), 12))
      const colour = source
        ? (colourOf(
            state,
            plate,
            source,
            stack.members.map((m) => m.i),
            frame,
          ) ?? grey)
        : entityColour(state, plate, first.point, frame, look.color)
      const chosen = stack.members.some((m) => state.selected.has(m.key))
      pen.globalAlpha = state.selected.size && !chosen ? 0.28 : 0.9
      paint(pen, look.marker, stack.x, stack.y, size, colour, paper)
      pen.globalAlpha = 1
      if (chosen) {
        marked += stack.members.filter((m) => state.selected.has(m.key)).length
        pen.beginPath()
        pen.arc(stack.x, stack.y, size + 4, 0, 2 * Math.PI)
        pen.strokeStyle = ink
        pen.lineWidth = 1.6
        pen.stroke()
      }
      if (many > 2 && name !== "random") {
        pen.fillStyle = isPale(colour) ? "#1e2530" : "#fff"
        pen.font = `600 ${many > 99 ? 8 : 9.5}px ${style.fontFamily}`
        pen.textAlign = "center"
        pen.textBaseline = "middle"
        pen.fillText(String(many), stack.x, stack.y + 0.5)
      }
      box.marks.push({ layer: name, ...stack, size })
    }
  }
  const written = []
  box.canvas.dataset.marked = marked
  const words = (text, x, y, strong) => {
    pen.font = `${strong ? 650 : 400} 12px ${style.fontFamily}`
    pen.textAlign = x > box.width - 120 ? "right" : x < 60 ? "left" : "center"
    pen.textBaseline = "bottom"
    // Above what is written there already, as long as it stays near its point.
    const half = pen.measureText(text).width / 2 + 3
    const middle = x + { right: -half, left: half, center: 0 }[pen.textAlign]
    const taken = (at) =>
      written.some(
        (other) => Math.abs(other.y - at) < 13 && Math.abs(other.middle - middle) < other.half + half,
      )
    for (let tries = 0; tries < 6 && taken(y); tries++) y -= 13
    written.push({ middle, half, y })
    pen.lineWidth = 3.5
    pen.strokeStyle = paper
    pen.lineJoin = "round"
    pen.strokeText(text, x, y)
    pen.fillStyle = ink
    pen.fillText(text, x, y)
  }
  if (state.layers.has("true") && view.answers.length <= NAMED && plate.ids.length)
    for (const [point] of view.answers)
      if (point >= 0)
        words(short(plate.names[point], 24), ...shift(locate(state, plate, box, point), -8), false)
  state.data.found.forEach((id, i) => {
    const point = view.pointOf.get(`e:${id}`)
    if (point === undefined) return
    const [x, y] = locate(state, plate, box, point)
    pen.beginPath()
    pen.arc(x, y, 11, 0, 2 * Math.PI)
    pen.strokeStyle = state.data.ring
    pen.lineWidth = 2.4
    pen.stroke()
    if (i < NAMED) words(short(plate.names[point], 30), x, y - 13, true)
    box.marks.push({ layer: "others", x, y, size: 8, members: [{ key: `e:${id}`, point, x, y }] })
  })
  if (state.lasso && state.lasso.box === box && state.lasso.points.length > 1) {
    pen.beginPath()
    state.lasso.points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)))
    pen.closePath()
    pen.strokeStyle = ink
    pen.setLineDash([4, 3])
    pen.lineWidth = 1.3
    pen.stroke()
    pen.setLineDash([])
  }
  if (state.hover && state.hover.box === box) {
    // The point that was pointed at may have moved, or may be gone.
    const { layer, members } = state.hover.mark
    const mark = box.marks.find(
      (each) => each.layer === layer && each.members.some((m) => m.key === members[0].key),
    )
    state.hover = mark ? { box, mark } : null
  }
  if (state.hover && state.hover.box === box) {
    const { x, y, size } = state.hover.mark
    pen.beginPath()
    pen.arc(x, y, size + 5, 0, 2 * Math.PI)
    pen.strokeStyle = ink
    pen.lineWidth = 1.2
    pen.stroke()
  }
}

function shift([x, y], up) {
  return [x, y + up]
}

function short(text, limit) {
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text
}

export const two = (value) => value.toFixed(2).replace("-", "−")
export const say = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`

// What stands at a mark: lines of [text, strong].
export function tell(state, plate, mark) {
  const frame = frameOf(state, plate, state.position)
  const { view } = plate
  const source = view.sources[mark.layer]
  const lines = []
  if (!source) {
    const { point, count } = mark.members[0]
    lines.push([plate.names[point], true])
    if (mark.layer === "true")
      lines.push([`true answer for ${say(count, view.other, `${view.other}s`)} in train`])
    if (mark.layer === "held-out") lines.push(["true answer in valid or test only"])
    const byte = plate.opinion[frame * plate.n + point]
    if (byte !== 255) lines.push([`D_adv: ${two(byte / 254)} real`])
    return lines
  }
  const what = mark.layer === "random" ? "random negatives" : `fakes from ${mark.layer}`
  if (mark.members.length > 1) lines.push([`${mark.members.length} ${what} lie here`, true])
  for (const { i } of mark.members.slice(0, TOLD)) {
    const at = frame * view.k + i
    const title = mark.layer === "random" ? "Random" : `Fake from ${mark.layer}`
    lines.push([
      `${title} for (${short(view.heads[i], 28)}, ${short(view.relation, 26)})`,
      mark.members.length === 1,
    ])
    const name = short(plate.words[source.nearest[at]], 34)
    if (mark.layer === "random") lines.push([name])
    else
      lines.push([
        `nearest entity ${name}: cosine ${two(source.cosine[at])}, length ×\u00a0${two(source.scale[at])}`,
      ])
    const opinion = Number.isNaN(source.d[at]) ? "" : `, D_adv ${two(source.d[at])}`
    const pathway = Number.isNaN(source.aux[at])
      ? ""
      : `, D_aux\u00a0${source.aux[at] < 0.5 ? `G_E\u00a0${Math.round(100 - 100 * source.aux[at])}` : `G_R\u00a0${Math.round(100 * source.aux[at])}`}\u00a0%`
    lines.push([
      `score ${two(source.score[at])}, a true answer ${two(view.trueScore[at])}${opinion}${pathway}`,
    ])
    lines.push([
      source.known[at] < 0
        ? "not a known fact"
        : `known fact (${["train", "valid", "test"][source.known[at]]})`,
    ])
  }
  if (mark.members.length > TOLD) lines.push([`and ${mark.members.length - TOLD} more`])
  return lines
}

export function describe(state, plate) {
  const frame = frameOf(state, plate, state.position)
  const { view } = plate
  const parts = []
  if (state.layers.has("true")) parts.push(say(view.answers.length, "true answer", "true answers"))
  for (const [name, source] of Object.entries(view.sources)) {
    if (!state.layers.has(name)) continue
    const places = new Set(source.nearest.slice(frame * view.k, (frame + 1) * view.k)).size
    const what =
      name === "random"
        ? say(view.k, "random negative", "random negatives")
        : say(view.k, `fake of ${name}`, `fakes of ${name}`)
    parts.push(
      `${what} nearest to ${places === 1 ? "one and the same entity" : `${places} different entities`}`,
    )
  }
  const method = (alone(state, plate) ?? plate).method
  return `Map of ${short(view.relation, 80)} at epoch ${plate.epochs[frame].toLocaleString("en")}, ${method} in two dimensions: ${parts.join("; ") || "all layers of this relation are hidden"}.${state.data.table ? " The table below holds the same points as text." : ""}`
}
