"""From text to packed token sequences: warm-up, units of the window, and held-out."""
