"""What can be wrong with migrations of identifiers."""

from __future__ import annotations

from broker.errors import BrokerFault


class KeptIdentitiesUnreadable(BrokerFault):
    """Identities that migrations keep were sealed by other keys than those of ``subject-identifiers/``. Restore these."""

    code = "kept_identities_unreadable"


class LedgerConflict(Exception):
    """Another migration, or an undoing, came between: look at ``broker identifiers list``, and try again from there."""


class Contradiction(Exception):
    """Migrations that would be in force together say different things of the same people."""


class NotInForce(Exception):
    """There is no such migration, or it is undone already."""
