"""Parameters of a request as OAuth reads them: each at most once, an empty one as if it were not there (RFC 6749 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from broker.oidc.errors import InvalidRequest

MAX_CHARACTERS = 4096
_LONGER = {"claims": 16384, "id_token_hint": 16384, "client_assertion": 16384, "request": 65536}


class Parameters:
    """Reads as if a parameter that is repeated or too long were not there; ``check`` refuses the request for it."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Raises: InvalidRequest, for text that is not Unicode."""
        self._values: dict[str, str] = {}
        self._repeated: set[str] = set()
        for name, value in pairs:
            _check_unicode(name, value)
            if name in self._values:
                self._repeated.add(name)
            self._values[name] = value
        self._too_long = {
            name for name, value in self._values.items() if len(value) > _LONGER.get(name, MAX_CHARACTERS)
        }

    def get(self, name: str) -> str | None:
        return None if name in self._repeated | self._too_long else self._values.get(name) or None

    def words(self, name: str) -> tuple[str, ...]:
        """The space-separated words of a parameter, each once, in order."""
        return tuple(dict.fromkeys((self.get(name) or "").split()))

    def check(self) -> None:
        """Raises: InvalidRequest."""
        if self._repeated:
            raise InvalidRequest("a parameter is repeated")
        if self._too_long:
            raise InvalidRequest("a parameter is too long")


def required(parameters: Parameters, name: str) -> str:
    """Raises: InvalidRequest."""
    value = parameters.get(name)
    if value is None:
        raise InvalidRequest(f"{name} is missing")
    return value


def _check_unicode(*texts: str) -> None:
    try:
        for text in texts:
            text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequest("a parameter is not UTF-8") from error
