"""Many networks under one protocol: timed once each, kept line by line, set beside what papers print."""
