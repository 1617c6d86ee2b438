"""Ways to keep the gradient table in fewer bytes, one a file, behind `stores.base.Codec`."""
