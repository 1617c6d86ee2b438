"""Checks a study's archive and unpacks it into results/<study>/.

Usage: python scripts/unpack.py ARCHIVE.tar.gz
"""

import sys
from pathlib import Path

from trainorder.errors import UserError
from trainorder.workflow.bundle import CONFIG, unpack
from trainorder.workflow.source import user_command

if len(sys.argv) != 2:
    sys.exit(f"usage: python {sys.argv[0]} ARCHIVE.tar.gz")
try:
    folder = unpack(Path(sys.argv[1]), Path())
except UserError as error:
    sys.exit(f"error: {error}")
print(f"{folder}; now: {user_command('report_page', '--configfile', f'{folder}/{CONFIG}')}")
