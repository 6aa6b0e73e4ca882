"""One target under atheris, in a process of its own: ``python -m tests.fuzz.one TARGET LIBFUZZER-OPTIONS…``."""

from __future__ import annotations

import signal
import sys

import atheris

with atheris.instrument_imports(include=["broker"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    # An alarm of libFuzzer's that nobody handles would end the process; a target that hangs is noticed by who started it.
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
