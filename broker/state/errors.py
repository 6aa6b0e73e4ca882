"""What can be wrong with a record of the short-lived state."""

from __future__ import annotations

from broker.errors import BrokerFault


class RecordUnreadable(BrokerFault):
    """A stored record is not of the form that this version writes. Nothing is guessed: the login is refused."""

    code = "record_unreadable"
    message_key = "unexpected"


class StateUrlWrong(BrokerFault):
    """The URL names no store that the broker can use."""

    code = "state_url_wrong"
    message_key = "broker_unavailable"
    http_status = 503
