"""The ingested cohort: its cases, their tumour masks, and the identity of patients across cohorts."""
