"""Tests of dans_lab."""
