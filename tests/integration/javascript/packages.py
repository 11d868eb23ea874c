"""Installs the packages of a Node service, or skips the test with the reason."""

import shutil
import subprocess

import pytest

OLDEST_NODE = 20


def install(folder):
    """Install the packages that the *folder* names, into it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip("v\n").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version.strip()} is older than {OLDEST_NODE}")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=90, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm ci took longer than 90 s")
    if done.returncode != 0:
        pytest.skip(f"npm ci failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
