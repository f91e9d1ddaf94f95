"""DICOM: reading MR series and segmentation objects, and writing synthetic series without patient data."""
