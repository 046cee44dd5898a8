"""The room of the screen Runs."""
