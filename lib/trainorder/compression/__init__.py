"""Stores of the gradient table: ways to keep it in fewer bytes, one codec a file, and a comparison.

`codec` defines what a codec is, `codecs` lists all of them, and `comparison` measures bytes against
error. The result is `stores.json`.
"""
