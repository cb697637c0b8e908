"""The command line: one verb per library call. Nothing heavy is imported before a verb runs."""
