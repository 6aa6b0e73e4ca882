"""What is true of Redis alone."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest

from broker.errors import StateUnavailable
from broker.state.errors import StateUrlWrong
from broker.state.redis import RedisStore, SentinelUrl, parse_sentinel_url

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store(redis_url):
    store = RedisStore(redis_url)
    yield store
    await store.close()


async def test_P2_each_record_is_taken_by_exactly_one_of_three_processes(store, redis_url, name, race):
    for number in range(200):
        await store.put(f"{name}:{number}", b"value", MINUTE)

    won = await race(redis_url, "take", name, records=200, processes=3)

    assert sorted(chain(*won)) == sorted(f"{name}:{number}" for number in range(200))


async def test_P10_every_method_says_that_redis_is_gone_and_works_when_it_is_back(start_redis, name):
    server = start_redis()
    store = RedisStore(server.url)
    await store.put(name, b"value", MINUTE)
    server.stop()

    for call in (
        lambda: store.put(name, b"value", MINUTE),
        lambda: store.add(name, b"value", MINUTE),
        lambda: store.get(name),
        lambda: store.take(name),
        lambda: store.remove(name),
        lambda: store.ping(),
    ):
        with pytest.raises(StateUnavailable):
            await call()

    server.start()
    assert await store.add(name, b"value", MINUTE)
    await store.close()


async def test_P10_a_redis_that_is_full_is_not_well(start_redis, name):
    server = start_redis()
    subprocess.run(
        ["redis-cli", "-p", str(server.port), "config", "set", "maxmemory", "1"], check=True, capture_output=True
    )
    store = RedisStore(server.url)

    with pytest.raises(StateUnavailable):
        await store.ping()
    await store.close()


async def test_P7_neither_name_nor_password_is_in_the_error():
    store = RedisStore("redis://user:hunter2@127.0.0.1:1/0")

    with pytest.raises(StateUnavailable) as refusal:
        await store.get("a-name")

    assert "hunter2" not in str(refusal.value)
    assert "a-name" not in str(refusal.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:port/0", "redis+sentinel://127.0.0.1:26379"])
def test_P9_a_url_that_cannot_be_read_is_refused(url):
    with pytest.raises(StateUrlWrong):
        RedisStore(url)


def test_a_sentinel_url_names_sentinels_service_and_secrets():
    url = "redis+sentinel://broker:p%40ss@10.0.0.1:26380,sentinel.example,[::1]:26381/kuntasilta/3?sentinel_password=s&tls=true"

    assert parse_sentinel_url(url) == SentinelUrl(
        sentinels=(("10.0.0.1", 26380), ("sentinel.example", 26379), ("::1", 26381)),
        service="kuntasilta",
        db=3,
        username="broker",
        password="p@ss",
        sentinel_password="s",
        tls=True,
    )


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("redis+sentinel://host:26379/", id="no_service"),
        pytest.param("redis+sentinel:///service", id="no_host"),
        pytest.param("redis+sentinel://a:26379,/service", id="an_empty_host"),
        pytest.param("redis+sentinel://a:26379/service/first", id="db_is_no_number"),
        pytest.param("redis+sentinel://a:26379/service?tsl=true", id="unknown_parameter"),
    ],
)
def test_P9_a_sentinel_url_that_is_not_one_is_refused(url):
    with pytest.raises(ValueError):
        parse_sentinel_url(url)


@pytest.fixture
def sentinel_port(start_redis, tmp_path):
    """A Sentinel that watches a master named ``kuntasilta``."""
    master, sentinel = start_redis(), start_redis()
    sentinel.stop()
    config = Path(tmp_path) / "sentinel.conf"
    config.write_text(
        f"port {sentinel.port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor kuntasilta 127.0.0.1 {master.port} 1\n"
    )
    process = subprocess.Popen(["redis-server", str(config), "--sentinel"], stdout=subprocess.PIPE)
    for line in process.stdout:
        if b"+monitor" in line:
            break
    yield sentinel.port
    process.kill()
    process.communicate()


async def test_the_master_is_found_by_sentinel(sentinel_port, name):
    store = RedisStore(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel_port}/kuntasilta")

    assert await store.add(name, b"value", MINUTE)
    assert await store.take(name) == b"value"
    await store.close()


async def test_P10_a_sentinel_that_knows_no_such_master_is_no_store(sentinel_port, name):
    store = RedisStore(f"redis+sentinel://127.0.0.1:{sentinel_port}/somebody-else")

    with pytest.raises(StateUnavailable):
        await store.get(name)
    await store.close()
