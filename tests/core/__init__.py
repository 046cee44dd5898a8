"""Tests of dans_core."""
