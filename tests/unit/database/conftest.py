from __future__ import annotations

import pytest


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "broker.sqlite"


@pytest.fixture
def url(file):
    return f"sqlite+aiosqlite:///{file}"
