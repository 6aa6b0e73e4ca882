"""The same city, service and broker as in tests/spec/saml."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_NAME = "saml_parties_under_attack"
_spec = spec_from_file_location(_NAME, Path(__file__).parents[2] / "spec" / "saml" / "conftest.py")
assert _spec
assert _spec.loader
_parties = module_from_spec(_spec)
sys.modules[_NAME] = _parties
_spec.loader.exec_module(_parties)

pairs, keys, city, other_city = _parties.pairs, _parties.keys, _parties.city, _parties.other_city
upstream, downstream, tool = _parties.upstream, _parties.downstream, _parties.tool
