"""What scripts and rules share: settings, jobs, code hashes, progress, summary and bundle."""
