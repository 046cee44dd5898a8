"""Behind the screen Predict: what a run answers, and what speaks for an answer."""
