"""Repairs for Mistral."""
