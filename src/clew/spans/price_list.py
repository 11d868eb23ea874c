"""Tells whether the package of prices that ``CLEW_COST=1`` needs is installed."""

from importlib.util import find_spec

from clew.core.settings import COST

PIP_LINE = "python -m pip install genai-prices"
NO_PRICES = f"{COST.name}=1 needs the package genai-prices, which is not installed"


def prices_are_installed() -> bool:
    """Whether the package of prices is installed."""
    return find_spec("genai_prices") is not None
