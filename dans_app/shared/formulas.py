"""The formula of each decoder in LaTeX, and how to read it, as on every screen."""

from __future__ import annotations

SCORES = {
    "distmult": r"\text{score}(h, r, t) = \sum_{i=1}^{d} h_i \, r_i \, t_i",
    "complex": r"\text{score}(h, r, t) = \operatorname{Re} \sum_{i=1}^{d/2} h_i \, r_i \, \overline{t_i}",
    "rotate": r"\text{score}(h, r, t) = \gamma - \sum_{i=1}^{d/2} \left| h_i \, r_i - t_i \right|",
}

READINGS = {
    "distmult": "Every coordinate adds one product. Where all three signs agree in pairs it is positive.",
    "complex": "Each coordinate is a complex number: r turns and stretches h, and the term is large where the result "
    "points the way of t.",
    "rotate": "Each coordinate is a complex number: r turns h, and the term is minus the distance that is left to t. "
    "The sum begins at γ, so the best possible score is γ.",
}
