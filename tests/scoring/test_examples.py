"""The examples in the docstrings hold, and every module of the package imports by itself."""

import doctest
import importlib
import pkgutil

import pytest

import playbook.scoring

MODULES = [found.name for found in pkgutil.iter_modules(playbook.scoring.__path__, "playbook.scoring.")]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_module_hold(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0
