"""The pipeline as a whole: all parameters, the stages of dvc.yaml, provenance of results, and model cards."""
