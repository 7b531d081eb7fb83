"""What the docstrings promise of every function and class of the lab is so: the defaults of its parameters."""

import ast
import builtins
import importlib
import inspect
import pkgutil
import re

import pytest

import labutils

MODULES = [
    info.name
    for info in pkgutil.walk_packages(labutils.__path__, "labutils.")
    if not info.ispkg and not info.name.endswith("__main__")
]
DEFAULT = re.compile(r"^ *(\w+(?:, \w+)*) : .*\bdefault[ =](.+)$", re.MULTILINE)


def documented(module):
    """Functions, classes and methods that are defined in a module."""
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == module.__name__:
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield thing
            if inspect.isclass(thing):
                members = (getattr(thing, name) for name in vars(thing))
                yield from (
                    member for member in members if inspect.isfunction(member) or inspect.ismethod(member)
                )


def promised(text: str, module):
    """The value that a docstring names: a literal, or a name of the module or of Python."""
    try:
        return ast.literal_eval(text)
    except ValueError:
        return getattr(module, text, None) or getattr(builtins, text)


def defaults(module):
    """Who, which parameter, its default by the docstring, and by the code."""
    for thing in documented(module):
        for names, text in DEFAULT.findall(thing.__doc__ or ""):
            if ", or " in text:  # decided when it is called
                continue
            names = names.split(", ")
            values = text.split(" and ") if len(names) > 1 else [text]
            for name, value in zip(names, values, strict=True):
                parameter = inspect.signature(thing).parameters[name]
                yield thing.__qualname__, name, promised(value, module), parameter.default


@pytest.mark.parametrize("name", MODULES)
def test_parameters_have_the_defaults_that_the_docstrings_name(name):
    for who, parameter, said, found in defaults(importlib.import_module(name)):
        assert said == found, f"{who}({parameter})"


def test_a_false_promise_is_found():
    def add(one, other=2):
        """Add.

        Parameters
        ----------
        one, other : int
        other : int, default 3
        """

    add.__module__, here = "here", type(labutils)("here")
    here.add = add
    assert list(defaults(here)) == [(add.__qualname__, "other", 3, 2)]
