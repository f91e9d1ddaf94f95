"""Metrics of synthetic images and of predicted masks, and their baselines. Arrays in, numbers out."""
