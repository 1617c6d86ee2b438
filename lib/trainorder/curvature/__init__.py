"""Low-rank curvature of clusters and units, and the reduced model built from it."""
