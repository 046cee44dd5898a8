"""A server that others reach over a network: who may come in, as what, and how much each may ask for."""
