"""Curricula: orders that are searched by the estimates and judged by real retraining."""
