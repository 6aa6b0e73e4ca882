"""One target under atheris, in a process of its own: ``python -m tests.fuzz.one TARGET LIBFUZZER-OPTIONS…``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["broker"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
