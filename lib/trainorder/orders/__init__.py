"""Named schedules: how they are generated, read, and compared."""
