"""Feature extractors for comparisons between sets of slices: networks, texture statistics, radiomics."""
