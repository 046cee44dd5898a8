// Elements of the parts of a page that draw themselves.
// Names reach the page only through textContent and attributes.

export const SVG = "http://www.w3.org/2000/svg"

function attach(made, parent, className, attributes) {
  if (className) made.setAttribute("class", className)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  parent.appendChild(made)
  return made
}

export function element(parent, tag, className = "", attributes = {}) {
  return attach(document.createElement(tag), parent, className, attributes)
}

// An element with a text in it.
export function written(parent, tag, className, text) {
  const made = element(parent, tag, className)
  made.textContent = text
  return made
}

// An element of a drawing.
export function shape(parent, tag, attributes = {}, className = "") {
  return attach(document.createElementNS(SVG, tag), parent, className, attributes)
}

// Write a text where another stands: the same one again disturbs nothing, neither a selection nor a screen reader.
export function put(target, text) {
  if (target.textContent !== text) target.textContent = text
}
