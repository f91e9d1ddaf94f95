"""The metrics of the challenge MAMA-SYNTH 2026, as its evaluator computes them, and safe loading of its classifiers."""
