"""Repairs for LlamaIndex."""
