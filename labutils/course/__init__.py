"""What only the pages need: measured tables, exercises, explorers, the first page's widget, the bug clinic."""

from labutils.course.measured_tables import measured, provenance
