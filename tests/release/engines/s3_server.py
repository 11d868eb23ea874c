"""An S3 on loopback (moto) with a user who may read, and DuckDB's extensions from their wheels."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from urllib.request import Request, urlopen

import boto3
from moto.server import ThreadedMotoServer

_MAY_READ = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
    ],
}
_INSTALL = """
import sys
from duckdb_extensions import import_extension
for name in sys.argv[1:]:
    import_extension(name)
"""
_BEFORE_KEYS = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}


class S3:
    """A server that checks who asks, and its bucket `lake`."""

    def __init__(self, url):
        self.url = url
        places = {"endpoint_url": url, "region_name": "us-east-1", **_BEFORE_KEYS}
        self._client = boto3.client("s3", **places)
        self._client.create_bucket(Bucket="lake")
        iam = boto3.client("iam", **places)
        iam.create_user(UserName="reader")
        iam.put_user_policy(
            UserName="reader", PolicyName="read", PolicyDocument=json.dumps(_MAY_READ)
        )
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        self.key_id, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        self._check_who_asks(after=0)

    def _check_who_asks(self, after):
        """Refuse who has no key, after so many requests."""
        asked = Request(
            f"{self.url}/moto-api/reset-auth",
            data=str(after).encode(),
            headers={"Content-Type": "text/plain"},
        )
        with urlopen(asked):
            pass

    def put(self, folder, prefix):
        """Copy the files in *folder* to below *prefix* in the bucket, as whoever owns it."""
        self._check_who_asks(after="inf")
        for file in (it for it in folder.rglob("*") if it.is_file()):
            self._client.upload_file(file, "lake", f"{prefix}/{file.relative_to(folder)}")
        self._check_who_asks(after=0)

    @property
    def environment(self):
        """What the reader sets for AWS's tools."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL_S3": self.url,
        }


@contextmanager
def serving():
    """Yield a server that ends with the block."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3(f"http://{host}:{port}")
    finally:
        server.stop()


def install(home, *extensions):
    """Install DuckDB's *extensions* for whoever has this *home*."""
    environment = {**os.environ, "HOME": str(home)}
    subprocess.run([sys.executable, "-c", _INSTALL, *extensions], env=environment, check=True)
