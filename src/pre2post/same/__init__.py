"""Scaled Aggregate Measure (SAMe): checkpoint scores, selection, stability, and correlation with Dice."""
