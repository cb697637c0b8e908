"""Where trials run: one after another here, or, with another class behind the same calls, on several machines."""
