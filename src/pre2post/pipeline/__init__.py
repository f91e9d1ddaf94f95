"""What every stage shares: parameters, paths, errors, files, progress, the resume folder. Knows no imaging."""
