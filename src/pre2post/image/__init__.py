"""Volumes in the patient: geometry, intensity scale, slices, registration, and masks of body, breast and lesion."""
