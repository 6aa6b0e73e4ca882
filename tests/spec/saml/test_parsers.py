"""Whatever a city sends is either read or refused as the city's fault: no parser lets another error out."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import HomeIdpFault
from broker.saml.artifact import Artifact, new_artifact, read_artifact, source_id
from broker.saml.bindings import BindingRefused
from broker.saml.xml import BadValue, instant

shared_world = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
letters = st.sampled_from(list("0123456789-+:.TZ "))


@given(st.text() | st.text(letters) | st.datetimes(timezones=st.timezones()).map(str))
def test_core_1_3_3_a_time_is_in_UTC_or_refused(text: str) -> None:
    with suppress(BadValue):
        assert instant(text).utcoffset() == timedelta(0)


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_core_1_3_3_a_time_of_another_zone_is_the_same_instant(moment: Any, minutes: int) -> None:
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    text = f"{moment.isoformat()}{sign}{hours:02}:{rest:02}"
    with suppress(BadValue, OverflowError):
        assert instant(text) == moment.replace(tzinfo=UTC) - timedelta(minutes=minutes)


@given(st.text() | st.binary(max_size=60).map(lambda octets: b64encode(octets).decode()))
def test_bindings_3_6_4_an_artifact_is_read_or_refused(text: str) -> None:
    with suppress(BindingRefused):
        assert len(read_artifact(text).source_id) == 20


@given(st.text(min_size=1, max_size=1024), st.integers(0, 65535))
def test_bindings_3_6_4_2_an_artifact_says_who_made_it_and_where_it_is_resolved(entity_id: str, index: int) -> None:
    artifact = Artifact(endpoint_index=index, source_id=source_id(entity_id))
    assert read_artifact(new_artifact(entity_id, index)) == artifact


def _cut(xml: str, data: Any) -> str:
    at = data.draw(st.integers(0, len(xml)))
    return xml[:at] + data.draw(st.text(max_size=20)) + xml[at + data.draw(st.integers(0, 40)) :]


@given(data=st.data())
@shared_world
@pytest.mark.parametrize("arrives", ["post", "unsolicited"])
def test_a_damaged_Response_is_the_city_s_fault(upstream: Any, arrives: str, data: Any) -> None:
    """Unless nothing was damaged that is looked at."""
    xml = _cut(upstream.draft.response(upstream.draft.assertion()), data)
    message = {"SAMLResponse": b64encode(xml.encode("utf-8", "surrogatepass")).decode(), "RelayState": "x"}
    reads: dict[str, Callable[[], Any]] = {
        "post": lambda: asyncio.run(upstream.edge.arrive(upstream.transaction, message, upstream.idp)),
        "unsolicited": lambda: upstream.edge.read_unsolicited(message, upstream.federation),
    }
    with pytest.raises(HomeIdpFault):
        reads[arrives]()
