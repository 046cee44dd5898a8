"""The room of the screen Studies."""
