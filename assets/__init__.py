"""What ships with the app, and the commands that make it."""
