"""One round of the game at a time: a run is lived through again, and each stage measured for one chosen triplet."""
