"""Splits of a cohort: predefined or random, their folds, and the guard against leakage."""
