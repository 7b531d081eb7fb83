"""What everything stands on: files, seeds, devices, progress bars, processes."""

from labutils.runtime.files import PROJECT
