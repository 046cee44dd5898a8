"""The room of the screen Map."""
