"""The two error words of Tocsin; the docstring is the message when none is given."""


class TocsinError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Temporary(TocsinError):
    """It did not work now and may work later."""

    def __init__(self, message: str = "", delay: float = 1.0) -> None:
        """*delay*: seconds to wait before the next try."""
        super().__init__(message)
        self.delay = delay


class Permanent(TocsinError):
    """It will not work however often it is tried."""
