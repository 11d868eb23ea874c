"""Repairs for DSPy."""
