"""The dispatcher between a service and a city, and the broker's keys."""

from __future__ import annotations

import pytest

from broker.keys import keyring
from broker.keys.keyring import KeyRing
from tests.unit.web.parties import NOW, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    folder = tmp_path_factory.mktemp("certs")
    keyring.create(folder, common_name="broker.example", now=NOW)
    return keyring.load(folder)
