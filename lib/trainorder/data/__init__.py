"""Documents, tokenizer, packing into sequences, and the packed corpus."""
