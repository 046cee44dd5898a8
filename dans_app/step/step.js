// The stops of a round: the words, the formula and the map of each, and what a person does to go from one to another.
// Kept stops are shown at once; the server hears of it at rest and trains ahead.

import { element, put, written } from "../../dans_lab/scripts/elements.js"
import { between, buildMap, describeMap, drawMap, drawTable, legend, sceneOf } from "./step_scene.js"

const GLIDE = 300 // milliseconds from one stop to the next
const STAY = 3500 // milliseconds that slow motion stays at a stop
const REST = 250 // milliseconds without a change before the server is told
const STAGES = ["encode", "G_E", "G_R", "D", "base"]
const PARTS = /(G_E|G_R|D_adv|D_aux)/
const LEAVE_ALONE =
  "input, textarea, select, [contenteditable=true], [role=combobox], [role=listbox], [role=radiogroup], [role=tablist], [role=dialog], [data-testid=stDataFrame]"
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches
const states = new WeakMap()

function build(state) {
  const { root } = state
  const top = element(root, "div", "top")
  state.stages = element(top, "div", "stages", { role: "group", "aria-label": "Stages of a round" })
  state.triplet = element(top, "p", "triplet")
  const body = element(root, "div", "body")
  const told = element(body, "section", "told", { "aria-live": "polite" })
  state.count = element(told, "p", "count")
  state.title = element(told, "h2", "title")
  state.text = element(told, "p", "text")
  state.formula = element(told, "p", "formula")
  state.changes = element(told, "dl", "changes")
  const more = element(told, "details", "more")
  written(more, "summary", "", "What stands in the formula")
  state.letters = element(more, "dl", "letters")
  const picture = element(body, "section", "picture")
  state.map = buildMap(picture)
  const below = element(picture, "div", "below")
  state.legend = element(below, "p", "legend")
  state.near = button(below, "near", "", () => {
    state.isNear = !state.isNear
    glide(state)
  })
  const controls = element(root, "div", "controls", { role: "group", "aria-label": "Steps" })
  state.back = button(controls, "step", "◀ Back", () => (pause(state), go(state, state.at - 1)))
  state.next = button(controls, "step main", "Next ▶", () => (pause(state), go(state, state.at + 1)))
  state.play = button(controls, "step", "▶ Slow motion", () => (state.playing ? pause(state) : play(state)))
  state.slider = element(controls, "input", "scrubber", {
    type: "range",
    min: 1,
    step: 1,
    "aria-label": "Stop",
  })
  state.slider.oninput = () => {
    // Before the pause, which draws the slider where it was.
    const to = Number(state.slider.value)
    pause(state)
    go(state, to)
  }
  state.status = element(controls, "output", "status")
  const scroll = element(root, "div", "scroll", { tabindex: "0", role: "region", "aria-label": "Negatives" })
  state.table = element(scroll, "table", "negatives")
  state.hint = written(
    root,
    "p",
    "hint",
    "Keyboard: → and ← go from stop to stop, space plays in slow motion. Fakes on the map come from a noise that stays the same, so they move only because weights moved or entities were encoded anew.",
  )
}

function button(parent, className, label, action) {
  const made = written(parent, "button", className, label)
  made.type = "button"
  made.onclick = action
  return made
}

// --- where one is: stops are counted through all rounds, from 1 ---------------------------------------------------

const roundOf = (state, at) => Math.ceil(at / state.data.perRound)
const stopIn = (state, at) => at - (roundOf(state, at) - 1) * state.data.perRound
const last = (state) => state.data.total * state.data.perRound

function go(state, at) {
  const to = Math.min(Math.max(1, at), last(state))
  if (to === state.at && !state.wanted) return
  if (!state.rounds.has(roundOf(state, to))) {
    state.wanted = to
    tell(state)
    draw(state)
    return
  }
  state.wanted = null
  state.at = to
  rest(state)
  glide(state)
}

function glide(state) {
  const round = state.rounds.get(roundOf(state, state.at))
  if (!round) return draw(state)
  const from = state.scene
  const to = sceneOf(round, round.stops[stopIn(state, state.at) - 1], state.isNear)
  cancelAnimationFrame(state.frame)
  const began = performance.now()
  const moves = from && !calm()
  draw(state)
  const frame = (now) => {
    const share = moves ? Math.min(1, Math.max(0, now - began) / GLIDE) : 1
    state.root.toggleAttribute("data-moving", share < 1)
    state.scene = between(from, to, share * (2 - share))
    drawMap(state.map, state.scene, round, state.data)
    if (share < 1) state.frame = requestAnimationFrame(frame)
  }
  frame(began)
}

function play(state) {
  state.playing = true
  const tick = () => {
    if (state.at === last(state)) return pause(state)
    // While the next round is trained, the last stop stays.
    if (!state.wanted) go(state, state.at + 1)
  }
  if (state.at < last(state)) tick()
  state.clock = setInterval(tick, STAY)
  draw(state)
}

function pause(state) {
  state.playing = false
  clearInterval(state.clock)
  draw(state)
}

function rest(state) {
  clearTimeout(state.timer)
  state.root.toggleAttribute("data-telling", true)
  state.timer = setTimeout(() => tell(state), REST)
}

function tell(state) {
  clearTimeout(state.timer)
  state.root.toggleAttribute("data-telling", false)
  const at = state.wanted ?? state.at
  const said = JSON.stringify({ token: state.data.token, round: roundOf(state, at), stop: stopIn(state, at) })
  if (said === state.told) return
  state.told = said
  state.setStateValue?.("at", JSON.parse(said))
}

// --- drawing -----------------------------------------------------------------------------------------------------

function draw(state) {
  const { data } = state
  const number = roundOf(state, state.at)
  const round = state.rounds.get(number)
  state.root.toggleAttribute("data-waiting", !round)
  put(
    state.status,
    data.busy || (state.wanted ? `Training up to round ${roundOf(state, state.wanted)} …` : ""),
  )
  if (!round) return
  const place = stopIn(state, state.at)
  const stop = round.stops[place - 1]
  Object.assign(state.root.dataset, { round: number, stop: place, token: data.token })
  put(
    state.count,
    `Round ${number.toLocaleString("en")} of ${data.total.toLocaleString("en")} · epoch ${round.epoch.toLocaleString("en")} · stop ${place} of ${round.stops.length}: ${stop.label}`,
  )
  const [head, relation, tail] = data.triplet
  const query = data.side === "tail" ? `${head}, ${relation}, ?` : `?, ${relation}, ${tail}`
  put(state.triplet, `Query: (${query}), answer: ${data.side === "tail" ? tail : head}`)
  put(state.title, stop.title)
  put(state.text, stop.text)
  drawFormula(state, stop)
  drawChanges(state, stop)
  drawStages(state, round, stop)
  if (state.shownTable !== stop.table) drawTable(state.table, stop.table, data.looks)
  state.shownTable = stop.table
  legend(state.legend, round, stop, state.isNear)
  describeMap(state.map.svg, round, stop, data)
  put(state.near, state.isNear ? "Whole map" : "Close up")
  state.near.disabled = stop.view.focus === "all"
  state.back.disabled = state.at === 1
  state.next.disabled = state.at === last(state)
  put(state.play, state.playing ? "❚❚ Pause" : "Slow motion")
  state.play.setAttribute("aria-pressed", state.playing)
  // Not up to what is trained ahead, or the knob would go back by itself.
  state.done = Math.max(state.done, number)
  state.slider.max = state.done * data.perRound
  state.slider.value = state.at
  state.slider.setAttribute("aria-valuetext", `round ${number}, stop ${place}: ${stop.title}`)
}

function drawFormula(state, { formula, letters }) {
  if (state.shownFormula === formula) return
  state.shownFormula = formula
  state.formula.replaceChildren()
  for (const part of formula.split(PARTS)) {
    const look = state.data.looks[part]
    const made = written(state.formula, "span", look ? "part" : "", part)
    if (look) made.style.setProperty("--part", look.color)
  }
  state.letters.replaceChildren()
  for (const [name, about] of letters) {
    const line = element(state.letters, "div")
    written(line, "dt", "", name)
    written(line, "dd", "", about)
  }
}

function drawChanges(state, stop) {
  const said = JSON.stringify(stop.changes)
  if (state.shownChanges === said) return
  state.shownChanges = said
  state.changes.replaceChildren()
  for (const change of stop.changes) {
    const group = element(state.changes, "div", change.after ? "change over" : "change", {
      title: change.about,
    })
    written(group, "dt", "", change.name)
    written(group, "dd", "", change.after ? `${change.before} → ${change.after}` : change.before)
    written(group, "dd", "about", change.about)
  }
}

function drawStages(state, round, stop) {
  const there = STAGES.filter((stage) => round.stops.some((each) => each.stage === stage))
  if (state.shownStages !== there.join()) {
    state.shownStages = there.join()
    state.stages.replaceChildren()
    for (const stage of there) {
      const chip = button(state.stages, "stage", stage, () => {
        pause(state)
        const now = state.rounds.get(roundOf(state, state.at))
        const first = now.stops.findIndex((each) => each.stage === stage)
        go(state, (roundOf(state, state.at) - 1) * state.data.perRound + first + 1)
      })
      chip.style.setProperty("--part", state.data.looks[stage].color)
      chip.dataset.stage = stage
    }
  }
  for (const chip of state.stages.children)
    if (chip.dataset.stage === stop.stage) chip.setAttribute("aria-current", "step")
    else chip.removeAttribute("aria-current")
}

// --- from the keyboard and from the server -------------------------------------------------------------------------

function press(state, event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return
  const [target] = event.composedPath()
  if (target.closest?.(LEAVE_ALONE)) return
  if (event.key === " " && target.closest?.("button, a, summary")) return
  const actions = {
    ArrowLeft: () => state.back.onclick(),
    ArrowRight: () => state.next.onclick(),
    " ": () => state.play.onclick(),
  }
  if (!actions[event.key]) return
  event.preventDefault()
  actions[event.key]()
}

function take(state, data) {
  const first = state.data?.token !== data.token
  state.data = data
  if (first) {
    state.rounds = new Map()
    state.done = 0
    state.wanted = null
    state.told = null
    state.at = (data.round - 1) * data.perRound + data.stop
  }
  for (const round of data.rounds) state.rounds.set(round.number, round)
  if (first) {
    state.scene = null
    pause(state)
  }
  const waited = state.root.hasAttribute("data-waiting")
  if (state.wanted && state.rounds.has(roundOf(state, state.wanted))) go(state, state.wanted)
  else if (first || waited) glide(state)
  else draw(state)
}

export default function (component) {
  const {
    data: [data],
    parentElement,
    setStateValue,
  } = component
  let state = states.get(parentElement)
  if (!state) {
    state = { root: element(parentElement, "div", "step"), isNear: true, playing: false }
    build(state)
    state.watch = new ResizeObserver(() => state.scene && glide(state))
    state.watch.observe(state.map.svg)
    state.press = (event) => press(state, event)
    document.addEventListener("keydown", state.press)
    states.set(parentElement, state)
  }
  state.setStateValue = setStateValue
  take(state, data)
  return () => {
    clearTimeout(state.timer)
    clearInterval(state.clock)
    cancelAnimationFrame(state.frame)
    document.removeEventListener("keydown", state.press)
    state.watch.disconnect()
    states.delete(parentElement)
    state.root.remove()
  }
}
