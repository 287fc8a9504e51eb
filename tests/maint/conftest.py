from pathlib import Path

import pytest
from maint_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A store of rec in a home of its own, with the default passes and a moment that is the present."""
    return World(tmp_path)
