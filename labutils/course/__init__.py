"""What only the pages need: measured tables, exercises, explorers, the bug clinic."""

from labutils.course.measured_tables import measured, provenance
