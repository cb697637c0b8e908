"""What a network costs: counted multiply-adds and parameters, and latency on a named device under a named backend."""
