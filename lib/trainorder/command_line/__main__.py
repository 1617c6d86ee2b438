"""The command `trainorder` as a module: `python -m trainorder.command_line`."""

import sys

from trainorder.command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
