"""Encoder families: from a few choices to explicit stages. Each is a pure function, looked up in `table.FAMILIES`."""
