"""Ends with 0 where a backend can make an engine; else it says why not."""

import sys

import jobs

from camlip.engine import Engine
from camlip.errors import EngineError

try:
    Engine(jobs.model("small", [14], cutoff=3.0), sys.argv[1])
except EngineError as error:
    sys.exit(str(error))
