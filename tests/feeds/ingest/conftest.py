import subprocess

import pytest
from house import House


@pytest.fixture
def house(tmp_path):
    built = House(tmp_path / "var")
    yield built
    built.close()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte. Needs root, as the project's CI and set-up have."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tocsin-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)
