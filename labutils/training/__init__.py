"""One training run: settings, plans, rates, the cache of the frozen prefix, `fit`, `evaluate` and the range test."""
