"""The map of a run: entities and negatives of one relation in one plane, over all its snapshots."""
