"""The lab without a notebook: plan, parts and report of ``solution.py``."""
