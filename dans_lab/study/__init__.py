"""Many runs for one question: a plan, its runs with seeds, their records, and what they say together.

FILE.toml ─▶ plan ─▶ crew (local processes or Ray) ─▶ run directories ─▶ records ─▶ tables ─▶ report, screen
"""
