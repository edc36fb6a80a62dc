"""How a case ends before its end: judged, or not runnable here."""


class Failure(AssertionError):
    """The compositor broke a statement; the text says what was expected and what came."""


class Skip(Exception):
    """Something is missing that the case needs; the text says what."""
