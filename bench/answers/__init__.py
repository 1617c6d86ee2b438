"""`docs/published.md`: the published study answered point by point, with numbers from records."""
