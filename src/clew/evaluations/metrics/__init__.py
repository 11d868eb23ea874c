"""Metrics: figures of many sessions, one's own or those that clew comes with.

>>> from clew import sessions
>>> from clew.evaluations.metrics import Metric, figures
>>> with sessions.open() as store:  # doctest: +SKIP
...     for it in figures(store, Metric("rate", "avg(friction > 0.5)"), by="user").groups:
...         print(it.group, it.value, it.low, it.high, it.sessions)
"""

from clew.evaluations.metrics.checking import Checked, check
from clew.evaluations.metrics.comparing import Comparison, compare
from clew.evaluations.metrics.definition import Metric, metrics
from clew.evaluations.metrics.errors import MetricError
from clew.evaluations.metrics.figures import Figure, Figures, figures

__all__ = [
    "Checked",
    "Comparison",
    "Figure",
    "Figures",
    "Metric",
    "MetricError",
    "check",
    "compare",
    "figures",
    "metrics",
]
