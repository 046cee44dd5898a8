"""The screen Step: what its stops say, and how the browser draws and plays them."""
