"""How good a synthetic image is: metrics, Frechet distances, floors, SAMe, statistics. Arrays in, numbers out."""
