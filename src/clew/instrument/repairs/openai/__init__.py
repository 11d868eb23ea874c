"""Repairs for OpenAI."""
