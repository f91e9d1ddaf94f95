"""Pix2PixHD (Wang et al. 2018, arXiv 1711.11585): networks, losses, training and checkpoints."""
