"""Run directories: written, read, followed, resumed, deleted."""
