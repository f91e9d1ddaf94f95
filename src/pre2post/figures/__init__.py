"""All figures, drawn from tables and volumes on disk. The only package that imports matplotlib."""
