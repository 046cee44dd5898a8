"""Fast forms, each beside the plain formula that it computes: `x` is the fast one, `x_plain` the formula.

Nothing here is needed to understand the method, and nothing here decides what is computed: the tests hold every fast
form to its formula, values and gradients. Where speed comes from is one of five things: a product made by another
library, work done in pieces that fit a processor's cache and made again in the backward pass, a table of what would be
asked many times, edges that are sorted once, and sums over all in the place of a loop over pairs.
"""
