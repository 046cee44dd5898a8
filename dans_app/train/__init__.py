"""The room of the screen Train."""
