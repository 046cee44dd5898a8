"""Where the negatives of a batch come from: the contract, uniform ones, DANS, and what DANS is compared with."""
