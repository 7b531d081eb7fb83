"""Teach a network your own pictures, by camera, upload or code: the first page's widget and what it does."""

from labutils.course.teach.lesson import Lesson
from labutils.course.teach.widget import Teach
