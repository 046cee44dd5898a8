// What a person did in the lessons, kept in their browser, so that a lesson can be taken up again another day.
// It draws nothing.

const NAME = "dans-lessons"
const seen = new WeakSet()

// A browser may forbid it; then lessons are kept for the session alone.
function kept() {
  try {
    return JSON.parse(localStorage.getItem(NAME) || "{}")
  } catch {
    return {}
  }
}

function keep(lessons) {
  try {
    localStorage.setItem(NAME, JSON.stringify(lessons))
  } catch {
    // Nothing to be done.
  }
}

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const known = kept()
  const first = !seen.has(parentElement)
  seen.add(parentElement)
  if (first && Object.keys(known).some((name) => !(name in data.lessons))) {
    setTriggerValue("kept", JSON.stringify(known))
    return
  }
  keep(data.lessons)
}
