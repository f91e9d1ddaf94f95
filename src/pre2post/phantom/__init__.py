"""A digital breast phantom: anatomy, contrast kinetics and scanner physics, written as DICOM in the Duke layout.

`phantom.cohort.write_cohort` writes a cohort; `phantom.patient.make_patient` returns the ground truth of one patient.
"""
