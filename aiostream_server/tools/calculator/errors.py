"""The one error of the calculator."""


class CalculationError(ValueError):
    """The expression has no value here; the message says what is wrong, and at which character."""
