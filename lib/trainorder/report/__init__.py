"""The report of a study: one page with the result, then all figures with their captions."""
