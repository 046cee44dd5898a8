"""Lessons: text files that predict, run, measure and ask, and the figures that say which answer is right."""
