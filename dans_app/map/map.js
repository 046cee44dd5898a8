// The map as a component of a page.

import { drawMap } from "../../dans_lab/map/map.js"

export default function (component) {
  return drawMap(component)
}
