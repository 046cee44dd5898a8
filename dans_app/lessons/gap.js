// The gap of a lesson: what was predicted and what was measured, as two marks on one scale.
// Texts reach the page only through textContent and attributes.

import { element, written } from "../../dans_lab/scripts/elements.js"

const drawn = new WeakMap()

function mark(line, kind, place, text) {
  const found = element(line, "div", `mark ${kind}`, { style: `left: ${place}%` })
  // A text near an end of the scale stands inside of it.
  const side = place < 15 ? "from-left" : place > 85 ? "from-right" : "centred"
  written(found, "span", `words ${side}`, text)
}

export default function ({ data: [data], parentElement }) {
  const text = JSON.stringify(data)
  if (drawn.get(parentElement)?.text === text) return
  drawn.get(parentElement)?.root.remove()
  const root = element(parentElement, "div", "gap", { role: "img", "aria-label": data.about })
  const line = element(root, "div", "line")
  const [low, high] = [data.said, data.found].toSorted((a, b) => a - b)
  element(line, "div", "between", { style: `left: ${low}%; width: ${high - low}%` })
  mark(line, "said", data.said, data.words[0])
  mark(line, "found", data.found, data.words[1])
  const ends = element(root, "div", "ends")
  for (const end of data.ends) written(ends, "span", "", end)
  drawn.set(parentElement, { root, text })
}
