"""MAMA-SYNTH 2026: the challenge's metrics, as its evaluator computes them, and its classifiers, read safely."""
