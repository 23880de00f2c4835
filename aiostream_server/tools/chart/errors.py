"""What is wrong with a chart that was asked for."""


class ChartProblem(ValueError):
    """One line for whoever asked: what is wrong, and what would do."""


class ChartNotDrawn(Exception):
    """The chart was fine and could not be drawn: one line says why."""
