#!/usr/bin/env bash
# Snakemake runs this once in the new environment, from the folder it was started in. The workflow
# sets TRAINORDER_SOURCE to its own folder.
set -euo pipefail
python -m pip install --no-deps --no-build-isolation --editable "${TRAINORDER_SOURCE:-.}"
