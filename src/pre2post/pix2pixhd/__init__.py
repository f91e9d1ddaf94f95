"""Pix2PixHD (Wang et al., CVPR 2018, arXiv 1711.11585): networks, losses, training and checkpoints. Needs torch."""

from pre2post.pix2pixhd.checkpoint import load_discriminator, load_generator

__all__ = ["load_discriminator", "load_generator"]
