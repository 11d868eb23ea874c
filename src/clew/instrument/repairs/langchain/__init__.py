"""Repairs for LangChain."""
