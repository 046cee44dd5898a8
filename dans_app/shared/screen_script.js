// What every screen does in the browser: pages before the side bar in Tab order, icons that are not read out, a side
// bar that closes after a choice on a phone, and the key of the presentation.

const NARROW = matchMedia("(max-width: 767px)")
const TYPING = "input, textarea, select, [contenteditable], [role=textbox], [role=combobox]"

let begun = false

function find(name) {
  return document.querySelector(`[data-testid="${name}"]`)
}

// The document has the pages and the screen before the side bar; styles leave each where it was.
function orderTabs() {
  const bar = find("stSidebar")
  const after = bar?.nextElementSibling
  if (after?.querySelector('[data-testid="stMain"]')) bar.parentElement.insertBefore(after, bar)
}

// Words stand beside every icon; its name is of no use to who hears it.
function silence() {
  for (const icon of document.querySelectorAll('[role="img"][aria-label$=" icon"]')) {
    icon.removeAttribute("role")
    icon.removeAttribute("aria-label")
    icon.setAttribute("aria-hidden", "true")
  }
  for (const icon of document.querySelectorAll('[data-testid="stIconMaterial"]:not([aria-hidden])'))
    icon.setAttribute("aria-hidden", "true")
}

function tidy() {
  orderTabs()
  silence()
}

function closeAfterChoice(event) {
  if (!NARROW.matches) return
  const chosen = event.target.closest?.('[data-testid="stSidebarNavLink"], .st-key-start_training button')
  if (!chosen) return
  // Once the click has done its work.
  setTimeout(() => find("stSidebarCollapseButton")?.querySelector("button")?.click())
}

function pressed(event) {
  if (event.key !== "p" || event.ctrlKey || event.metaKey || event.altKey) return
  // A part of the page that draws itself hides what is typed into behind its shadow.
  if (event.composedPath()[0]?.closest?.(TYPING) || find("stDialog")) return
  document.querySelector(".st-key-toolbar_present button")?.click()
}

function begin() {
  begun = true
  let due = false
  const soon = () => {
    if (due) return
    due = true
    requestAnimationFrame(() => {
      due = false
      tidy()
    })
  }
  new MutationObserver(soon).observe(document.body, { childList: true, subtree: true })
  document.addEventListener("click", closeAfterChoice)
  document.addEventListener("keydown", pressed)
  tidy()
}

export default function () {
  if (!begun) begin()
}
