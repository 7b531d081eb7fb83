"""Checks for the exercises, one file a notebook: ``from labutils.exercises import feature_extraction as check``."""
