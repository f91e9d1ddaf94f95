"""What a case is: its phases, its layout on disk, the parts of the cohort it belongs to."""
