"""The command `trainorder`: new projects, and Snakemake for people who do not know it."""
