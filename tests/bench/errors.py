"""What makes a login of the bench wrong."""


class WrongAnswerError(Exception):
    """The broker's answer is not what the standard and this login call for; the message says in which point."""


def expect(point: str, found: object, wanted: object) -> None:
    """Raises: WrongAnswerError, unless both are equal."""
    if found != wanted:
        raise WrongAnswerError(f"{point}: {found!r}, not {wanted!r}")
