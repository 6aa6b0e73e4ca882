"""Kept: one fetched thing, with a lifetime, fetched once for all who wait, and kept while its source is down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from broker.login.ports import Clock

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
"""How long someone waits for a newer value when there is an old one."""


class Kept(Generic[T]):
    """``load`` raises one of ``errors`` when it fails. ``pause``: the least time between two fetches, so that neither a
    partner that is down nor a stranger's message can make us ask it again and again.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[T]],
        clock: Clock,
        *,
        lifetime: timedelta,
        pause: timedelta,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._load = load
        self._clock = clock
        self._lifetime = lifetime
        self._pause = pause
        self._errors = errors
        self._value: T | None = None
        self._fresh_until: datetime | None = None
        self._next_attempt: datetime | None = None
        self._loading: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The kept value, or a new one after its lifetime. Raises: one of ``errors``, when there never was one."""
        if self._value is not None and self._fresh_until is not None and self._clock() < self._fresh_until:
            return self._value
        return await self.renew()

    async def renew(self) -> T:
        """A new value if one can be had and the pause has passed; else the last good one. Raises: one of ``errors``."""
        if self._value is None:
            return await self._fetched()
        if self._loading is None and self._next_attempt is not None and self._clock() < self._next_attempt:
            return self._value
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._fetched()
        except TimeoutError:
            return self._value
        except self._errors:
            return self._value

    async def _fetched(self) -> T:
        """One fetch for all who wait now. One who gives up does not end it for the others."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._fetch())
            self._loading.add_done_callback(self._loaded)
        return await asyncio.shield(self._loading)

    async def _fetch(self) -> T:
        self._next_attempt = self._clock() + self._pause
        self._value = await self._load()
        self._fresh_until = self._clock() + self._lifetime
        return self._value

    def _loaded(self, task: asyncio.Task[T]) -> None:
        self._loading = None
        if not task.cancelled():
            # Taken note of, should everyone who waited have given up.
            task.exception()
