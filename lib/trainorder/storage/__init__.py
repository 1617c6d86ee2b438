"""Files: atomic writes, plain formats, sealed HDF5, safetensors, the manifest of a store."""
