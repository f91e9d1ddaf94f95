"""Statistics over patients: summaries, paired tests, correlation, bootstrap."""
