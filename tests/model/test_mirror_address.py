"""Addresses of a mirror: what is taken, what is refused and in which words; never a password in them."""

from __future__ import annotations

import pytest

from tocsin.model.mirror import parse


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bucket/prefix", "is no address of a bucket; write s3://bucket/prefix"),
        ("s3://key:secret@bucket/x", "holds more than the bucket's name; keys come from the environment"),
        ("s3://b/x", "'b' is no name of a bucket"),
        ("s3://bucket/../x", "'.' and '..' mean nothing"),
        ("s3://bucket/x?key=1", "'key' has no place in the address of a mirror; valid: endpoint, region, plain"),
        ("s3://bucket/x?endpoint=http://example.org", "would send what the archive holds unencrypted; write https://, or say plain=yes"),
        ("s3://bucket/x?endpoint=https://a:b@example.org", "is no server; write https://host"),
    ],
)
def test_addresses_that_teach(text, words):
    with pytest.raises(ValueError, match=words.replace("?", r"\?").replace(".", r"\.")) as fault:
        parse(text)
    assert "secret" not in str(fault.value) and "a:b" not in str(fault.value)


def test_addresses():
    assert (
        parse("s3://bucket/a/b?endpoint=objects.example.org&region=eu-1").text
        == "s3://bucket/a/b?endpoint=https://objects.example.org&region=eu-1"
    )
    assert parse("s3://bucket").here({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}).endpoint == "http://127.0.0.1:9000"
    assert parse("s3://bucket/x?endpoint=http://10.0.0.5:9000&plain=yes").endpoint == "http://10.0.0.5:9000"
    with pytest.raises(ValueError, match="unencrypted"):
        parse("s3://bucket").here({"AWS_ENDPOINT_URL_S3": "http://10.0.0.5:9000"})
