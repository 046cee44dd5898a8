// A field that finds names as one types (a combobox, as the ARIA practices describe it). What is typed goes to the
// server, and the first names that match come back. Names reach the page only through textContent and attributes.

import { element, put } from "../../dans_lab/scripts/elements.js"

const REST = 150 // milliseconds without a keystroke before the server is asked
const states = new WeakMap()
let numbers = 0

function build(parent) {
  const root = element(parent, "div", "search")
  const id = `names-${++numbers}`
  const state = { root, id, open: false, active: 0, edited: false, timer: 0, asked: "" }
  const head = element(root, "div", "head")
  state.label = element(head, "label", "label", { for: `${id}-field` })
  state.help = element(head, "span", "help", { tabindex: "0", role: "note" })
  state.help.textContent = "?"
  const holder = element(root, "div", "holder")
  state.field = element(holder, "input", "field", {
    id: `${id}-field`,
    type: "text",
    role: "combobox",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": `${id}-list`,
    maxlength: "200",
  })
  state.list = element(holder, "ul", "names", { id: `${id}-list`, role: "listbox", popover: "manual" })
  state.note = element(holder, "span", "unseen", { "aria-live": "polite" })
  listen(state)
  return state
}

// What the field asks for: nothing while it holds the chosen name untouched.
const query = (state) => (state.edited ? state.field.value.trim() : "")

function ask(state, wait = REST) {
  clearTimeout(state.timer)
  state.timer = setTimeout(() => {
    if (query(state) === state.asked) return
    state.asked = query(state)
    state.setStateValue("typed", state.asked)
  }, wait)
}

function listen(state) {
  const { field, list } = state
  field.oninput = () => {
    state.edited = true
    show(state)
    ask(state)
  }
  field.onfocus = () => {
    field.select()
    ask(state, 0)
  }
  field.onclick = () => show(state)
  field.onblur = () => leave(state)
  field.onkeydown = (event) => {
    const count = rows(state).length
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) {
      event.preventDefault()
      if (!state.open) return show(state)
      state.active = count ? (state.active + step + count) % count : 0
      draw(state)
    } else if (event.key === "Enter") {
      if (state.data.part && state.edited && !query(state)) pick(state, "")
      else if (state.open && fresh(state) && count) pick(state, rows(state)[state.active].name)
      else if (state.open) state.wanted = true
    } else if (event.key === "Escape" && state.open) {
      event.stopPropagation()
      leave(state)
      field.select()
    }
  }
  // Before the field loses the focus, which would close the list under the finger.
  list.onpointerdown = (event) => event.preventDefault()
  list.onclick = (event) => {
    const row = event.target.closest("[role=option]")
    if (row) pick(state, rows(state)[Number(row.dataset.at)].name)
  }
}

// What can be picked: where a part of a name may be, all that match it, and the names.
function rows({ data }) {
  const typed = data.typed.trim()
  const names = data.names.map(([name, word]) => ({ name, word }))
  return data.part && typed ? [{ name: typed, all: true }, ...names] : names
}

// Whether the names at hand are those for what the field holds now.
const fresh = (state) => state.data.typed.trim() === query(state)

function show(state) {
  if (state.open) return
  state.open = true
  state.active = 0
  draw(state)
}

function leave(state) {
  clearTimeout(state.timer)
  state.open = state.edited = state.wanted = false
  state.field.value = state.data.value
  draw(state)
}

function pick(state, name) {
  state.data = { ...state.data, value: name }
  state.setTriggerValue("picked", name)
  leave(state)
}

function place(state) {
  const { list, field } = state
  if (list.showPopover && state.open && !list.matches(":popover-open")) list.showPopover()
  if (list.hidePopover && !state.open && list.matches(":popover-open")) list.hidePopover()
  if (!state.open) return
  const box = field.getBoundingClientRect()
  const below = innerHeight - box.bottom - 8
  const up = below < 180 && box.top > below
  list.style.left = `${box.left}px`
  list.style.width = `${box.width}px`
  list.style.maxHeight = `${Math.min(320, up ? box.top - 8 : below)}px`
  list.style.top = up ? "auto" : `${box.bottom + 3}px`
  list.style.bottom = up ? `${innerHeight - box.top + 3}px` : "auto"
}

// As names are compared: without case, and with spaces for underscores.
const fold = (text) => text.toLowerCase().replaceAll("_", " ")

function mark(parent, name, typed) {
  const at = typed ? fold(name).indexOf(fold(typed)) : -1
  if (at < 0) return parent.append(name)
  parent.append(name.slice(0, at))
  element(parent, "b").textContent = name.slice(at, at + typed.length)
  parent.append(name.slice(at + typed.length))
}

function draw(state) {
  const { data, list, field } = state
  const names = data.names
  const typed = data.typed.trim()
  const shown = rows(state)
  state.active = Math.min(state.active, Math.max(0, shown.length - 1))
  list.replaceChildren()
  shown.forEach(({ name, word, all }, at) => {
    const row = element(list, "li", "name", {
      id: `${state.id}-${at}`,
      role: "option",
      "aria-selected": String(at === state.active),
      "data-at": at,
      title: name,
    })
    if (all) element(row, "span", "text").textContent = `All that match “${name}”`
    else mark(element(row, "span", "text"), name, typed)
    if (word) element(row, "span", "word").textContent = word
  })
  const words = !fresh(state)
    ? "Searching …"
    : data.more
      ? `The first ${names.length}; type more to narrow them down.`
      : names.length
        ? typed
          ? ""
          : "Type to search all."
        : typed
          ? "No entity has this in its name."
          : `Type a part of a name; there are ${data.total.toLocaleString("en")}.`
  if (words) element(list, "li", "say", { role: "presentation" }).textContent = words
  list.toggleAttribute("data-open", state.open)
  list.dataset.typed = data.typed
  field.setAttribute("aria-expanded", String(state.open))
  if (state.open && shown.length) field.setAttribute("aria-activedescendant", `${state.id}-${state.active}`)
  else field.removeAttribute("aria-activedescendant")
  const spoken = state.open ? words || `${names.length} found.` : ""
  put(state.note, spoken)
  place(state)
  list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" })
}

export default function (component) {
  const {
    data: [data],
    parentElement,
    setStateValue,
    setTriggerValue,
  } = component
  let state = states.get(parentElement)
  if (!state) {
    state = build(parentElement)
    states.set(parentElement, state)
    state.move = () => state.open && place(state)
    addEventListener("scroll", state.move, true)
    addEventListener("resize", state.move)
  }
  state.setStateValue = setStateValue
  state.setTriggerValue = setTriggerValue
  const other = data.value !== state.data?.value
  if (data.typed !== state.data?.typed) state.active = 0
  state.data = data
  state.label.textContent = data.label
  state.help.toggleAttribute("hidden", !data.help)
  state.help.setAttribute("aria-label", data.help)
  state.help.dataset.words = data.help
  if (!state.edited || other) {
    state.edited = false
    state.field.value = data.value
  }
  state.field.placeholder = "Type a part of a name"
  draw(state)
  // Enter was pressed before the names had come.
  if (state.wanted && fresh(state) && rows(state).length) pick(state, rows(state)[0].name)
  return () => {
    clearTimeout(state.timer)
    removeEventListener("scroll", state.move, true)
    removeEventListener("resize", state.move)
    states.delete(parentElement)
    state.root.remove()
  }
}
