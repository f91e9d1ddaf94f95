"""Ingestion of a cohort: layouts on disk, phases, checks, and volumes by role."""
