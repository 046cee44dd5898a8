"""The room of the screen Diagnostics."""
