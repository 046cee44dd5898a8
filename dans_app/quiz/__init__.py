"""The room of the screen Real or generated."""
