// Looks at every frame, in the page that is measured. A condition that holds in one frame is on the screen when the
// next begins.
;(() => {
  const clock = { from: null, at: null, seen: null, worst: 0, condition: null, last: performance.now() }
  const now = (clock.now = () => performance.timeOrigin + performance.now())
  // Custom components live in shadow roots, which querySelector does not enter: `root` names one by a class within.
  const hosts = {}
  clock.inside = (root, selector) => {
    if (!hosts[root]?.isConnected || !hosts[root].shadowRoot.querySelector(root))
      hosts[root] = [...document.querySelectorAll("*")].find((e) => e.shadowRoot?.querySelector(root))
    return hosts[root] ? hosts[root].shadowRoot.querySelector(selector) : null
  }
  clock.says = (text) => document.body && document.body.innerText.includes(text)
  clock.arm = (condition) => {
    Object.assign(clock, { from: null, at: null, soon: null, seen: null, worst: 0 })
    clock.condition = new Function("clock", `return ${condition}`)
  }
  for (const kind of ["click", "keydown"])
    document.addEventListener(
      kind,
      (e) => {
        if (kind === "click" || e.key === "Enter") clock.from ??= now()
      },
      true,
    )
  const look = () => {
    const here = performance.now()
    if (clock.from !== null && clock.at === null) clock.worst = Math.max(clock.worst, here - clock.last)
    clock.last = here
    if (clock.seen && clock.at === null) clock.at = now()
    else if (clock.condition && clock.at === null && clock.condition(clock)) clock.seen = true
    requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
  window.benchmark = clock
})()
