"""Where a mirror of the archive is: one line of text that names bucket, prefix, and, where it is not Amazon's, the server. Never a password."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

EXAMPLE: Final = "s3://bucket/prefix, or s3://bucket/prefix?endpoint=https://objects.example.org&region=eu-1"
_BUCKET: Final = re.compile(r"[a-z0-9A-Z][a-zA-Z0-9._-]{1,62}")
_KEYS: Final = ("endpoint", "region", "plain")
#: What the AWS tools take the server from.
_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class Address:
    """`prefix`: without slashes at its ends, may be empty. `endpoint`: `https://host:port`, empty for Amazon's. `region`: empty for what the environment
    says. `plain`: it was said that bytes and names may go over the wire unencrypted."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    plain: bool = False

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        said = {"endpoint": self.endpoint, "region": self.region, "plain": "yes" if self.plain else ""}
        query = urlencode({key: value for key, value in said.items() if value}, safe=":/")
        return f"s3://{self.bucket}{'/' if self.prefix else ''}{quote(self.prefix)}{'?' if query else ''}{query}"

    @property
    def place(self) -> str:
        """For people: bucket and prefix alone."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def here(self, environment: Mapping[str, str]) -> Address:
        """With the server that the environment names as the AWS tools read it, where the address names none. Raises ValueError in words."""
        server = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
        return self if self.endpoint or not server else replace(self, endpoint=_server(server, self.plain))


@dataclass(frozen=True, slots=True)
class Mirror:
    """As a city declares it. `every`: how often at most it is brought up to date, `grace`: how long objects stay that are replaced; µs."""

    to: Address
    every: int
    grace: int


def parse(text: str) -> Address:
    """Raises ValueError in words."""
    parts = urlsplit(text.strip())
    if parts.scheme != "s3":
        raise ValueError(f"{_hidden(text)!r} is no address of a bucket; write {EXAMPLE}")
    if "@" in parts.netloc or ":" in parts.netloc:
        raise ValueError(
            f"the address of {parts.hostname!r} holds more than the bucket's name; keys come from the environment (AWS_ACCESS_KEY_ID,"
            " AWS_SECRET_ACCESS_KEY) or an AWS profile, the server from endpoint="
        )
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{parts.netloc!r} is no name of a bucket; write {EXAMPLE}")
    said = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(said) - set(_KEYS))
    if unknown or parts.fragment:
        raise ValueError(f"{(unknown or ['#'])[0]!r} has no place in the address of a mirror; valid: {', '.join(_KEYS)}")
    names = [name for name in unquote(parts.path).split("/") if name]
    if any(name in {".", ".."} for name in names):
        raise ValueError(f"{parts.path!r}: '.' and '..' mean nothing in a bucket; write {EXAMPLE}")
    plain = said.get("plain", "") in {"yes", "true", "1"}
    server = said.get("endpoint", "")
    return Address(parts.netloc, "/".join(names), _server(server, plain) if server else "", said.get("region", ""), plain)


def _server(text: str, plain: bool) -> str:
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or port == -1
        or "@" in parts.netloc
        or parts.path.strip("/")
        or parts.query
    ):
        raise ValueError(f"{_hidden(text)!r} is no server; write https://host or https://host:port, without keys, path or query")
    if parts.scheme == "http" and not plain and not _here(parts.hostname):
        raise ValueError(
            f"{text!r} would send what the archive holds unencrypted; write https://, or say plain=yes where the network is your own"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hidden(text: str) -> str:
    """Without what may be a password."""
    return re.sub(r"//[^/@]*@", "//…@", text)
