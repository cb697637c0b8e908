"""A study on disk: its file, its trials and records, and what they say. Nothing here runs a network."""
