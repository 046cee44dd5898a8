"""The room of the screen For teachers."""
