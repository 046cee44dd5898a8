"""The room behind the screen Lessons."""
