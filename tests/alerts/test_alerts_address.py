"""Addresses of the state store: what may be written, what is refused and why, and that no password is ever shown."""

import pytest

from tocsin.alerts.address import Address, chosen, parsed, remembered
from tocsin.kernel.fault import Misconfigured


def test_an_address_is_taken_apart():
    found = parsed(
        "postgres://ann:hun%202@db.example:5433,db2.example/city?sslmode=verify-full&schema=tocsin_x&sslpassword=key", "here", True
    )
    assert found.url == "postgresql://ann@db.example:5433,db2.example/city?sslmode=verify-full"
    assert found.schema == "tocsin_x"
    assert dict(found.secrets) == {"password": "hun 2", "sslpassword": "key"}
    assert found.text == found.url + "&schema=tocsin_x"
    assert found.words == "postgresql://db.example:5433,db2.example/city"
    assert "hun" not in repr(found) + found.text + found.words
    assert found.scrub("said 'hun 2' and hun%202") == "said '***' and ***"
    assert parsed(found.text, "again", False).text == found.text


@pytest.mark.parametrize(
    ("text", "url", "words"),
    [
        ("postgresql://h/d", "postgresql://h/d", "postgresql://h/d"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=/run/postgresql", "postgresql:///run/postgresql/d"),
        ("postgresql://?service=city", "postgresql:///?service=city", "postgresql://city/"),
        ("postgresql://u@[::1]:5432/d", "postgresql://u@[::1]:5432/d", "postgresql://[::1]:5432/d"),
        ("postgresql://h/d?passfile=/etc/a b", "postgresql://h/d?passfile=/etc/a%20b", "postgresql://h/d"),
    ],
)
def test_addresses_that_are_taken(text, url, words):
    found = parsed(text, "--state", False)
    assert (found.url, found.words) == (url, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://h/d", "found mysql:"),
        ("alerts.db", "found no scheme"),
        ("sqlite:///x.db", "SQLite file in the data directory"),
        ("postgresql://u:secret@h/d", "a password does not belong here"),
        ("postgresql://h/d?password=secret", "a password does not belong here"),
        ("postgresql://u:sec#ret@h/d", "write %23"),
        ("postgresql://h/d?schema=a-b", "schema='a-b'"),
        ("postgresql://[h/d", "no address"),
    ],
)
def test_addresses_that_are_refused(text, words):
    with pytest.raises(Misconfigured) as found:
        parsed(text, "--state", False)
    assert words in str(found.value)
    assert str(found.value).startswith("--state: ")
    assert "secret" not in str(found.value)


def test_the_option_comes_before_the_environment_and_neither_is_needed():
    environment = {"TOCSIN_STATE": "postgresql://u:pw@h/d"}
    assert chosen(None, {}) is None
    assert chosen("postgresql://other/d", environment) == Address("postgresql://other/d")
    found = chosen(None, environment)
    assert found is not None
    assert (found.text, dict(found.secrets)) == ("postgresql://u@h/d", {"password": "pw"})
    assert remembered(found.text, environment) == found
    assert remembered("postgresql://other/d", environment).secrets == ()
    assert remembered(found.text, {}).secrets == ()
