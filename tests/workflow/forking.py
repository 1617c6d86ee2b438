"""Runs steps of the study, each in a process of its own, without importing the libraries each time.

As a script it imports the library once, reads requests, and forks a process for each step; what a
request asks for is done to that process first. A step ends there as it does on a command line.
"""

import contextlib
import json
import os
import pkgutil
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
