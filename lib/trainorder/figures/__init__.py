"""Figures of a study, one file for each, and their captions; `drawing` draws them without torch."""
