"""Private. What ``clew doctor`` looks at: the installation, the environment, an app that ran.

Each check is one small function that yields findings. `checks.py` holds them all.
"""
