"""Settings name the store by a URL."""

from __future__ import annotations

import pytest

from broker.settings import Settings
from broker.state.errors import StateUrlWrong
from broker.state.memory import MemoryStore
from broker.state.open import open_store
from broker.state.redis import RedisStore
from broker.state.sqlite import SqliteStore


async def test_memory():
    assert isinstance(await open_store("memory://"), MemoryStore)


@pytest.mark.parametrize("url", ["redis://127.0.0.1/0", "rediss://127.0.0.1/0", "redis+sentinel://127.0.0.1/name"])
async def test_redis_is_not_connected_to_before_its_first_use(url):
    store = await open_store(url)

    assert isinstance(store, RedisStore)
    await store.close()


async def test_the_default_of_the_settings_is_the_embedded_database(tmp_path):
    store = await open_store(Settings(data_dir=tmp_path / "data").state)

    assert isinstance(store, SqliteStore)
    assert (tmp_path / "data" / "broker.sqlite").exists()
    await store.close()


@pytest.mark.parametrize("url", ["", "sqlite:///relative.sqlite", "sqlite://", "postgresql://host/db"])
async def test_P9_any_other_url_is_refused(url):
    with pytest.raises(StateUrlWrong):
        await open_store(url)
