"""Volumes: DICOM and NIfTI, bias field, intensity scale and its inverse, slices, regions of the breast."""
