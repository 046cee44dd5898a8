"""The room of the screen Data."""
