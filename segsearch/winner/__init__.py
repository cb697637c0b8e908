"""The network that a study is for: which one it is, and its way to files."""
