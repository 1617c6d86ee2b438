"""What scripts and Snakemake rules share: job runner, code hashes, bundle of results."""
