"""Helpers of the transfer-learning lab: a network is a sequence of named layer groups."""

import lazy_loader

# What the lab offers stands in __init__.pyi; a module is loaded when something of it is first used, for torch takes seconds.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
