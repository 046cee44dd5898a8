"""The room of the screen Triplet."""
