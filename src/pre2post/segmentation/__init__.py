"""nnU-Net segmentation study: training mixes and folds, planning, training and prediction in this process."""
