"""Checks for the exercises, one file a notebook: ``from labutils.course.exercises import feature_extraction as check``."""
