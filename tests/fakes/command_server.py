"""Runs calls of the command line in forks of one process that has loaded everything: a call costs a tenth of a start.

One call per line of standard input: ``{"argv", "env", "stdin", "stdout", "stderr"}``, the last three being files; the
exit code is answered as a line. Only what precedes ``run`` of the real script is shared between calls.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from gateway.cli.main import run

# Loaded here once, for commands import what they need when they are called.
for _name in ("gateway.compose", "gateway.cli.cases", "gateway.cli.releases", "gateway.cli.offline"):
    importlib.import_module(_name)


def _child(call: dict[str, Any]) -> int:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY
        os.dup2(os.open(call[name], flags), number)
    os.environ.clear()
    os.environ.update(call["env"])
    sys.argv = ["consilium", *call["argv"]]
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    """Answer calls until the end of standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    print("up", file=answers, flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        if (pid := os.fork()) == 0:
            os._exit(_child(call))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


if __name__ == "__main__":
    main()
