"""What ``clew doctor`` examines: the installation, the environment, and what happened in an app.

Each check is one small function that yields findings. `checks.py` holds them all.
"""
