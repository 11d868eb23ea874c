"""Fixtures: a provider server, and its clients. A conftest imports those that its tests use."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.providers import ProviderServer, clients

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def openai_client(server: ProviderServer) -> Iterator[Any]:
    with clients.openai_client(server) as client:
        yield client


@pytest.fixture
def mistral(server: ProviderServer) -> Iterator[Any]:
    with clients.mistral_client(server) as client:
        yield client


@pytest.fixture
def bedrock(server: ProviderServer) -> Iterator[Any]:
    with contextlib.closing(clients.bedrock_client(server)) as client:
        yield client
