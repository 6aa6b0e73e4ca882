"""The fixtures of ``tests/unit/oidc/fixtures.py``, for this folder."""

from tests.unit.oidc.fixtures import fetcher, home, keys, refreshing, side

__all__ = ["fetcher", "home", "keys", "refreshing", "side"]
