"""File formats: atomic writes, JSON and CSV, sealed HDF5, safetensors, the store's manifest."""
