"""Private. The checks of ``clew doctor``: of the installation, the environment, an app that ran.

Each check is one small function that yields findings. `checks.py` lists them all.
"""
