"""How good a synthetic image is: metrics, Frechet distances, baselines, SAMe, statistics. Arrays in, numbers out."""
