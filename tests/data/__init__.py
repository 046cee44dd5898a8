"""Tests of dans_data."""
