#!/usr/bin/env bash
# Snakemake runs this once in the new environment, from the folder it was started in. The workflow
# sets TRAINORDER_SOURCE to its own folder: a clone, or `workflow_files` in an installed package.
set -euo pipefail
source="${TRAINORDER_SOURCE:-.}"
if [ -e "$source/pyproject.toml" ]; then
  python -m pip install --no-deps --no-build-isolation --editable "$source"
else  # the package is pure Python, so a copy of its files is an installation
  installed="$source/../.."
  target="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  cp -R "$installed/trainorder" "$installed"/trainorder-*.dist-info "$target"
fi
