"""The configuration of a study: its sections, the methods it can name, and checks."""
