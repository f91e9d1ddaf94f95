"""Evaluation of synthetic volumes, segmenters and SAMe: one value per patient, then tables with statistics."""
