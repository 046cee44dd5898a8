"""The room of the screen How it works: the drawing of the architecture, and what each of its parts opens."""
