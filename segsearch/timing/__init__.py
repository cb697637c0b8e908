"""The latency of one network: in this process, in new processes, or on a worker; and a store of what was measured.

Everybody who wants a latency asks `latency_of`.
"""

from segsearch.timing.provider import joined, latency_of
from segsearch.timing.store import LatencyProtocol, LatencyStore, protocol_for
from segsearch.timing.subjects import FileSubject, NetworkSubject, Subject, exported, fresh_network

__all__ = [
    "FileSubject",
    "LatencyProtocol",
    "LatencyStore",
    "NetworkSubject",
    "Subject",
    "exported",
    "fresh_network",
    "joined",
    "latency_of",
    "protocol_for",
]
