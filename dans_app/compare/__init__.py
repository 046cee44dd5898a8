"""The room of the screen Compare."""
