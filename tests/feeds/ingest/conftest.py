import pytest
from house import House


@pytest.fixture
def house(tmp_path):
    built = House(tmp_path / "var")
    yield built
    built.close()
