"""How a worker talks to the runner.  Standard library only: it runs in the peer's environment.

The job comes as one line of JSON on standard input.  The worker answers ``ready`` with facts about
itself, and then for each number of steps with the time that they took.  What libraries print goes
to standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Step = Callable[[int], None]


def serve(prepare: Callable[[dict[str, Any]], tuple[Step, dict[str, Any]]]) -> None:
    """Set up what the job describes and run as many steps as the runner asks for."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step, facts = prepare(json.loads(sys.stdin.readline()))
    print(json.dumps({"ready": True, **facts}), file=answers, flush=True)
    for line in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        step(int(line))
        spent = {"cpu": time.process_time() - processor, "wall": time.perf_counter() - wall}
        print(json.dumps(spent), file=answers, flush=True)
