"""What can be wrong with the durable state."""

from __future__ import annotations

from broker.errors import BrokerFault


class DatabaseUnavailable(BrokerFault):
    """P10: the database cannot be reached, or cannot be written; nothing was changed."""

    code = "database_unavailable"
    message_key = "broker_unavailable"
    http_status = 503
    oauth_error = "temporarily_unavailable"


class DatabaseTooNew(BrokerFault):
    """A newer version of the broker has migrated this database. Run that version, or restore an older backup."""

    code = "database_too_new"
    message_key = "broker_unavailable"
    http_status = 503


class DatabaseUrlWrong(BrokerFault):
    """The URL names no database that the broker can use."""

    code = "database_url_wrong"
    message_key = "broker_unavailable"
    http_status = 503
