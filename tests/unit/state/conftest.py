"""A store whose records can be looked at, and a clock moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broker.federation.model import Protocol, ServiceId
from broker.login.request import LoginRequest
from broker.login.transaction import (
    LIFETIME,
    LoginTransaction,
    Stage,
    new_reference_code,
    new_transaction_id,
)
from broker.state.memory import MemoryStore

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class HandClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def elapse(self, time: timedelta) -> None:
        self.now += time


class RecordingStore(MemoryStore):
    """Remembers what was written, as an intruder would find it."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.written: list[tuple[str, bytes, timedelta]] = []

    async def put(self, name: str, value: bytes, lifetime: timedelta) -> None:
        self.written.append((name, value, lifetime))
        await super().put(name, value, lifetime)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def store():
    return RecordingStore()


@pytest.fixture
def a_transaction():
    def build(**changes) -> LoginTransaction:
        request = LoginRequest(service=ServiceId("shared-wiki"), protocol=Protocol.SAML, reply={"relay_state": "R"})
        given = {
            "id": new_transaction_id(),
            "reference": new_reference_code(),
            "browser": "fingerprint",
            "request": request,
            "stage": Stage.RECEIVED,
            "begun_at": NOW,
            "expires_at": NOW + LIFETIME,
        }
        return LoginTransaction(**given | changes)

    return build
