"""What runs a study: what is done next, where it is done, what is written down, and how it ends."""
