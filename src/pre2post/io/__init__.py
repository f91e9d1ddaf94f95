"""Volumes and slices in NIfTI, MetaImage and .npy files, and checks of their content."""
