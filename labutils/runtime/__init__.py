"""What everything stands on: files, seeds, devices, progress bars, processes."""
