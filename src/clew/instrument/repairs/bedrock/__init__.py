"""Repairs for Bedrock."""
