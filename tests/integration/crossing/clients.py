"""The HTTP clients that OpenTelemetry instruments, each as one function that makes a request."""

import asyncio
import urllib.request
from importlib import import_module
from importlib.util import find_spec

INSTRUMENTORS = {
    "aiohttp": "aiohttp_client:AioHttpClientInstrumentor",
    "botocore": "botocore:BotocoreInstrumentor",
    "httpx": "httpx:HTTPXClientInstrumentor",
    "httpx2": "httpx:HTTPX2ClientInstrumentor",
    "requests": "requests:RequestsInstrumentor",
    "urllib": "urllib:URLLibInstrumentor",
    "urllib3": "urllib3:URLLib3Instrumentor",
}


def instrumentors():
    """Yield an instrumentor for each library that is installed, with the library's name."""
    for library, where in INSTRUMENTORS.items():
        module, name = where.split(":")
        module = f"opentelemetry.instrumentation.{module}"
        if find_spec(library) and find_spec(module) and hasattr(import_module(module), name):
            yield library, getattr(import_module(module), name)()


def by_httpx(url, headers):
    import httpx

    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        client.get(url, headers=headers)


def by_async_httpx(url, headers):
    import httpx

    async def main():
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            await client.get(url, headers=headers)

    asyncio.run(main())


def by_httpx2(url, headers):
    import httpx2

    with httpx2.Client(follow_redirects=True, trust_env=False) as client:
        client.get(url, headers=headers)


def by_async_httpx2(url, headers):
    import httpx2

    async def main():
        async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as client:
            await client.get(url, headers=headers)

    asyncio.run(main())


def by_requests(url, headers):
    import requests

    with requests.Session() as session:
        session.trust_env = False
        session.get(url, headers=headers)


def by_aiohttp(url, headers):
    import aiohttp

    async def main():
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers) as response,
        ):
            await response.read()

    asyncio.run(main())


def by_urllib3(url, headers):
    import urllib3

    with urllib3.PoolManager() as pool:
        pool.request("GET", url, headers=headers)


def by_urllib(url, headers):
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as response:
        response.read()


def by_botocore(url, headers):
    """Call S3 on another host; for botocore a user has to pass the propagator explicitly."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )

    def add(request, **_):
        for name, value in headers.items():
            request.headers[name] = value

    client.meta.events.register("before-sign.s3", add)
    client.head_bucket(Bucket="all")
    client.close()


FOLLOW_REDIRECTS = {
    "aiohttp": by_aiohttp,
    "httpx": by_httpx,
    "async httpx": by_async_httpx,
    "httpx2": by_httpx2,
    "async httpx2": by_async_httpx2,
    "requests": by_requests,
    "urllib": by_urllib,
    "urllib3": by_urllib3,
}
CLIENTS = {**FOLLOW_REDIRECTS, "botocore": by_botocore}
