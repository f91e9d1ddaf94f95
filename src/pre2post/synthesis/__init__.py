"""Prediction of post-contrast images with a generator and its card."""
