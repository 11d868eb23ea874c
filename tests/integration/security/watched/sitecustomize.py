"""Watches each Python that finds this folder first."""

import watching

__all__ = ["watching"]
