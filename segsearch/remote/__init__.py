"""Latency on another machine: a worker there gets the exported graph and times it. Never code, never pickles."""
