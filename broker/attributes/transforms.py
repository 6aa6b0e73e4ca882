"""The closed set of transforms that a rule may name: from one value to another, or to None when there is none.

Configuration holds no code: a new transform is a change of this file.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.attributes.values import InvalidValue, domain

Transform = Callable[[str], str | None]

SCOPE = "scope:"
"""``scope:pori.fi`` adds ``@pori.fi`` to a value that has no ``@``."""

# A Finnish number as it is dialled in Finland: the trunk prefix 0, then the rest.
_NATIONAL = re.compile(r"0[1-9][0-9]{3,12}")
_WRITTEN = str.maketrans("", "", " -()./\u00a0")


def _e164_fi(value: str) -> str | None:
    """``040 123 4567``, ``00358 40…`` and ``+358 (0)40…`` → ``+35840…``; other forms are left as they are."""
    number = value.strip().replace("(0)", "").translate(_WRITTEN)
    if number.startswith("00"):
        return "+" + number[2:]
    return "+358" + number[1:] if _NATIONAL.fullmatch(number) else number


def _language(value: str) -> str | None:
    """The first language of an Accept-Language list: ``sv-FI, fi;q=0.8`` → ``sv-FI``."""
    return value.partition(",")[0].partition(";")[0].strip() or None


def _left_of_at(value: str) -> str | None:
    return value.partition("@")[0] or None


def _right_of_at(value: str) -> str | None:
    return value.partition("@")[2] or None


def _refuse_windows_account(value: str) -> str | None:
    return None if "\\" in value else value


TRANSFORMS: dict[str, Transform] = {
    "lower": str.lower,
    "upper": str.upper,
    "trim": str.strip,
    "e164-fi": _e164_fi,
    "language": _language,
    "left-of-at": _left_of_at,
    "right-of-at": _right_of_at,
    "refuse-windows-account": _refuse_windows_account,
}


def find(name: str) -> Transform:
    """Raises: KeyError, when there is no such transform."""
    if name.startswith(SCOPE):
        try:
            suffix = "@" + domain(name.removeprefix(SCOPE))
        except InvalidValue as error:
            raise KeyError(name) from error
        return lambda value: value if "@" in value else value + suffix
    return TRANSFORMS[name]
