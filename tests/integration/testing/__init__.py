"""The pytest plugin, in runs of pytest of their own, with a real SDK and the provider server."""
