import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "ingest"))

from house import House


@pytest.fixture
def house(tmp_path):
    built = House(tmp_path / "var")
    yield built
    built.close()
