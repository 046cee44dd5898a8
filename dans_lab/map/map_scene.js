// The map, first part: the numbers of its pictures, where every point is now, and in which colour.

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
  return new Kind(bytes.buffer)
}

// A picture with its numbers decoded; those of the picture before are kept where they are the same.
export function prepare(plate, before) {
  const same = (a, b) => before && a === b
  const made = { ...plate }
  made.places = same(plate.xy, before?.xy) ? before.places : unpack(plate.xy, Uint16Array)
  made.opinion = same(plate.d, before?.d) ? before.opinion : unpack(plate.d, Uint8Array)
  made.alone = plate.single && { ...plate.single, places: unpack(plate.single.xy, Uint16Array) }
  const view = plate.view
  if (same(view.token, before?.view.token)) made.view = before.view
  else {
    const k = view.heads.length
    made.view = { ...view, k, trueScore: unpack(view.trueScore, Float32Array), sources: {} }
    for (const source of view.sources) {
      const decoded = { ...source }
      for (const name of ["cosine", "scale", "score", "d", "aux"])
        decoded[name] = unpack(source[name], Float32Array)
      decoded.nearest = unpack(source.nearest, Int32Array)
      decoded.known = unpack(source.known, Int8Array)
      made.view.sources[source.source] = decoded
    }
    made.view.pointOf = new Map()
    plate.ids.forEach((id, point) => made.view.pointOf.set(`e:${id}`, point))
    for (const source of Object.values(made.view.sources))
      if (source.source !== "random")
        source.points.forEach((p, i) => made.view.pointOf.set(`${source.source}:${view.headIds[i]}`, p))
    const named = new Set([...view.answers.map((a) => a[0]), ...view.held])
    made.view.others = plate.ids.map((_, point) => point).filter((point) => !named.has(point))
    const own = new Set(Object.values(made.view.sources).flatMap((s) => s.points))
    made.view.otherFakes = []
    for (let point = plate.ids.length; point < plate.n; point++)
      if (!own.has(point)) made.view.otherFakes.push(point)
    made.view.ownRange = ranges(made)
  }
  return made
}

// The ends of each colour scale, over all epochs of this relation, so that a colour means one thing while it plays.
function ranges(plate) {
  const hardness = []
  const opinions = []
  for (const source of Object.values(plate.view.sources)) {
    source.score.forEach((score, at) => hardness.push(score - plate.view.trueScore[at]))
    for (const d of source.d) opinions.push(Math.abs(d - 0.5))
  }
  const at = (values, part) => {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] : 0
  }
  const low = at(hardness, 0.02)
  const far = Math.min(0.5, Math.max(0.05, at(opinions, 0.95)))
  return { hardness: [low, Math.max(at(hardness, 0.98), low + 1e-6)], opinion: [0.5 - far, 0.5 + far] }
}

// --- where everything is ---------------------------------------------------------------------------------------

// The snapshot of a picture that stands for the epoch at `position` of the slider.
export function frameOf(state, plate, position) {
  const epoch = state.epochs[position]
  let found = 0
  plate.epochs.forEach((each, i) => {
    if (each <= epoch) found = i
  })
  return found
}

export function alone(state, plate) {
  const frame = plate.epochs[frameOf(state, plate, state.position)]
  return plate.alone && state.data.colour !== "epoch" && plate.alone.epoch === frame ? plate.alone : null
}

// Coordinates of a point in the picture's own units at a snapshot; null where it has no place.
function unit(places, n, frame, point, out) {
  const at = 2 * (frame * n + point)
  out[0] = (places[at] / 65535) * 5 - 2.5
  out[1] = (places[at + 1] / 65535) * 5 - 2.5
  return out
}

export function scale(state, plate, box) {
  const [wide, high] = (alone(state, plate) ?? plate).extent
  return Math.min(box.width / wide, box.height / high) * state.zoom.k
}

// Pixels of a point now, gliding between the snapshots.
export function locate(state, plate, box, point, frame = null) {
  const now = frame ?? frameOf(state, plate, state.position)
  const single = frame === null ? alone(state, plate) : null
  const here = [0, 0]
  if (single) unit(single.places, plate.n, 0, point, here)
  else {
    unit(plate.places, plate.n, now, point, here)
    if (frame === null && state.glide < 1) {
      const before = unit(plate.places, plate.n, frameOf(state, plate, state.previous), point, [0, 0])
      const part = state.glide * state.glide * (3 - 2 * state.glide)
      here[0] = before[0] + (here[0] - before[0]) * part
      here[1] = before[1] + (here[1] - before[1]) * part
    }
  }
  const size = scale(state, plate, box)
  return [box.width / 2 + (here[0] - state.zoom.x) * size, box.height / 2 - (here[1] - state.zoom.y) * size]
}

// --- colours ---------------------------------------------------------------------------------------------------

export function mix(stops, along) {
  const place = Math.min(Math.max(along, 0), 1) * (stops.length - 1)
  const i = Math.min(Math.floor(place), stops.length - 2)
  const part = place - i
  const channel = (hex, c) => parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16)
  const parts = [0, 1, 2].map((c) =>
    Math.round(channel(stops[i], c) * (1 - part) + channel(stops[i + 1], c) * part),
  )
  return `rgb(${parts.join(",")})`
}

export function share(value, [low, high]) {
  return (value - low) / (high - low)
}

// The colour of negatives of a source that are drawn as one, by their mean; null where this colouring says nothing.
export function colourOf(state, plate, source, members, frame) {
  const { colour, scales } = state.data
  const { view } = plate
  if (colour === "layer") return state.looks[source.source].color
  const [value, range] = {
    hardness: [(at) => source.score[at] - view.trueScore[at], view.range.hardness],
    d_adv: [(at) => source.d[at], view.range.opinion],
    d_aux: [(at) => source.aux[at], [0, 1]],
    epoch: [() => frame, [0, Math.max(1, plate.epochs.length - 1)]],
  }[colour]
  const mean = members.reduce((sum, i) => sum + value(frame * view.k + i), 0) / members.length
  return Number.isFinite(mean) ? mix(scales[colour].stops, share(mean, range)) : null
}

export function entityColour(state, plate, point, frame, own) {
  if (state.data.colour !== "d_adv") return own
  const byte = plate.opinion[frame * plate.n + point]
  return byte === 255 ? own : mix(state.data.scales.d_adv.stops, share(byte / 254, plate.view.range.opinion))
}
