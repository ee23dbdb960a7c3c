"""Imports by the paths of before give the modules of today."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest

from rlld._moved import MOVED


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_path_is_the_module_of_today(old):
    assert importlib.util.find_spec(f"rlld.{MOVED[old]}") is not None
    sys.modules.pop(f"rlld.{old}", None)
    with pytest.warns(DeprecationWarning, match=rf"rlld\.{old} is now rlld\.{MOVED[old]}"):
        module = importlib.import_module(f"rlld.{old}")
    today = importlib.import_module(f"rlld.{MOVED[old]}")
    assert module is today
    assert today.__name__ == today.__spec__.name == f"rlld.{MOVED[old]}"


def test_modules_of_a_package_that_moved_and_names_of_the_face():
    code = (
        "from rlld.data.simulate.writing import simulate; from rlld import config, console;"
        "from rlld.foreign.arrays import open_array; import rlld.features.decode as decode;"
        "import rlld.media.decode; assert decode is rlld.media.decode;"
        "assert config.read_yaml.__module__ == 'rlld.utils.config'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name", ["rlld.nowhere", "rlld.data.nowhere", "rlld.data.simulate.nowhere"]
)
def test_what_never_was_is_not_found(name):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
