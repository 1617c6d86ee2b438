"""Estimators, one a file, by the name of their method."""
