// The map, third part: what its shapes and colours mean, on the page and in the picture that is saved.

import { element, put } from "../scripts/elements.js"
import { drawPlate, paint, two } from "./map_drawing.js"

// The layers as chips; a pressed one calls `toggle` with its id.
export function drawLegend(state, toggle) {
  const { data, legend } = state
  const { view } = state.plates[0]
  const counts = { true: view.answers.length, "held-out": view.held.length, others: view.others.length }
  // Made anew only to say something else: a chip that goes while it is pressed loses the click.
  const said = JSON.stringify([
    data.colour,
    state.plates.length,
    counts,
    view.k,
    Object.keys(view.sources),
    [...state.layers],
  ])
  if (said === state.said) return
  state.said = said
  legend.replaceChildren()
  for (const layer of data.layerNames) {
    const source = view.sources[layer.id]
    const count = counts[layer.id] ?? (source ? view.k : 0)
    if (["G_E", "G_R"].includes(layer.id) && !source) continue
    const on = state.layers.has(layer.id)
    const button = element(legend, "button", "chip", {
      type: "button",
      "aria-pressed": on,
      title: layer.about,
    })
    button.dataset.layer = layer.id
    const swatch = element(button, "canvas", "swatch", { "aria-hidden": "true", width: 28, height: 28 })
    const pen = swatch.getContext("2d")
    pen.scale(2, 2)
    paint(
      pen,
      layer.marker,
      7,
      7,
      layer.id === "others" ? 2.5 : 4.2,
      legendColour(state, layer),
      "transparent",
    )
    const text = element(button, "span")
    text.textContent =
      state.plates.length === 1 ? `${layer.name} (${count.toLocaleString("en")})` : layer.name
    button.onclick = () => {
      toggle(layer.id)
      // The chip that was pressed is made anew, and the keyboard stays on it.
      state.legend.querySelector(`[data-layer="${layer.id}"]`)?.focus()
    }
  }
}

// The colour scale in use: its name, stops and what stands at its ends; null where layers alone have colours.
function scaleInUse(state) {
  const { data, epochs } = state
  const name = data.colour === "layer" ? (data.field ? "d_adv" : null) : data.colour
  if (!name) return null
  const { range } = state.plates[0].view
  const ends = {
    hardness: range.hardness.map(two),
    d_adv: range.opinion.map(two),
    d_aux: ["G_E", "G_R"],
    epoch: [epochs[0], epochs[epochs.length - 1]],
  }[name]
  return { ...data.scales[name], ends: ends.map(String) }
}

export function colourBar(state) {
  const { bar } = state
  const scale = scaleInUse(state)
  bar.toggleAttribute("hidden", !scale)
  if (!scale) return
  bar.replaceChildren()
  put(element(bar, "span"), scale.name)
  put(element(bar, "b"), scale.ends[0])
  element(bar, "i").style.background = `linear-gradient(to right, ${scale.stops.join(",")})`
  put(element(bar, "b"), scale.ends[1])
}

// Where colour tells something else, a layer is known by its shape alone.
function legendColour(state, layer) {
  const { colour } = state.data
  const own = colour === "layer" || (colour !== "d_adv" && ["true", "held-out", "others"].includes(layer.id))
  return own ? layer.color : state.looks.others.color
}

// A picture with its title and legend, made by the browser. It is drawn in another size: draw the page anew after it.
export function savePicture(state) {
  const gap = 16
  const scale = scaleInUse(state)
  const head = scale ? 104 : 84
  const width = state.boxes.reduce((sum, box) => sum + box.width + gap, gap)
  const height = Math.max(...state.boxes.map((box) => box.height)) + head + gap
  const canvas = document.createElement("canvas")
  canvas.width = 2 * width
  canvas.height = 2 * height
  const pen = canvas.getContext("2d")
  pen.scale(2, 2)
  const style = getComputedStyle(state.root)
  const ink = style.getPropertyValue("--ink").trim() || "#222"
  pen.fillStyle = style.getPropertyValue("--paper").trim() || "#fff"
  pen.fillRect(0, 0, width, height)
  let left = gap
  state.hover = null
  state.plates.forEach((plate, i) => {
    pen.save()
    pen.fillStyle = ink
    pen.font = `600 14px ${style.fontFamily}`
    pen.fillText(plate.title, left, 24, state.boxes[i].width)
    let x = left
    pen.font = `12px ${style.fontFamily}`
    pen.fillText(
      `${plate.view.relation} · ${state.boxes[i].note.textContent}`,
      left,
      44,
      state.boxes[i].width,
    )
    for (const layer of state.data.layerNames) {
      if (!state.layers.has(layer.id) || (["G_E", "G_R"].includes(layer.id) && !plate.view.sources[layer.id]))
        continue
      paint(
        pen,
        layer.marker,
        x + 6,
        64,
        layer.id === "others" ? 2.5 : 4.5,
        legendColour(state, layer),
        "transparent",
      )
      pen.fillStyle = ink
      pen.fillText(layer.name, x + 16, 68)
      x += 30 + pen.measureText(layer.name).width
    }
    if (scale) {
      const text = `${scale.name}  ${scale.ends[0]}`
      const start = left + pen.measureText(text).width + 8
      const colours = pen.createLinearGradient(start, 0, start + 120, 0)
      scale.stops.forEach((stop, at) => colours.addColorStop(at / (scale.stops.length - 1), stop))
      pen.fillText(text, left, 90)
      pen.fillText(scale.ends[1], start + 128, 90)
      pen.fillStyle = colours
      pen.fillRect(start, 82, 120, 8)
    }
    pen.translate(left, head)
    pen.beginPath()
    pen.rect(0, 0, state.boxes[i].width, state.boxes[i].height)
    pen.clip()
    drawPlate(state, plate, state.boxes[i], pen)
    pen.restore()
    left += state.boxes[i].width + gap
  })
  canvas.toBlob((blob) => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = `map-${state.plates[0].run}-${state.epochs[state.position]}.png`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  })
}
