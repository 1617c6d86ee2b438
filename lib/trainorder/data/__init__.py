"""From documents to token sequences: sources, tokenizer, packing, and the packed corpus."""
