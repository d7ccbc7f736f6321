"""Both databases that the alerts view runs on, for the tests that hold on either."""

from __future__ import annotations

import itertools

import pytest

from tocsin.alerts.address import parsed
from tocsin.alerts.changes import Changes
from tocsin.alerts.postgres import postgres as postgres_database
from tocsin.alerts.store import AlertStore


class Sqlite:
    name = "sqlite"

    def new(self):
        """An empty store."""
        return AlertStore.open("sqlite://")

    def place(self, tmp_path):
        """The address of an empty store that outlives its process."""
        return f"sqlite:///{tmp_path / 'alerts.db'}"

    def close(self):
        pass


class OnPostgres:
    """Stores in schemas of one database; a schema is emptied and used again, because making one takes long."""

    name = "postgres"

    def __init__(self, server):
        self.server = server
        self.free, self.all = [], []
        self.url = server.database("suite")
        self.numbers = itertools.count()

    def new(self):
        if self.free:
            store = self.free.pop()
            store.changes = Changes(0)
        else:
            made = postgres_database(parsed(f"{self.url}&schema=s{next(self.numbers)}", "here", True), "testville")
            self.all.append(made)
            store = AlertStore(made)
            store.close = lambda: self.free.append(store)
        store.forget()
        store.unreadable = 0
        assert (store.problem, store.position, store.unwritten) == ("", 0, 0)
        return store

    def place(self, tmp_path):
        return self.server.database(f"place{next(self.numbers)}")

    def close(self):
        for database in self.all:
            database.close()


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def backend(request):
    made = Sqlite() if request.param == "sqlite" else OnPostgres(request.getfixturevalue("postgres"))
    yield made
    made.close()


@pytest.fixture
def url(postgres, request):
    """The address of an empty database."""
    return postgres.database(f"t{abs(hash(request.node.name))}")


@pytest.fixture
def opened():
    made = []

    def opening(url, city="testville"):
        made.append(AlertStore.open(url, city))
        return made[-1]

    yield opening
    for store in made:
        store.close()
