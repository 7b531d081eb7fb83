"""Many runs: who does them, the comparisons of the lab, and the statistics of their tables."""

import lazy_loader

# Tables are read without torch; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
