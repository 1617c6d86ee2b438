"""Drivers outside the DAG: they run several studies through Snakemake and collect what came out."""
