"""The search: study file, proposals, the loop that survives being killed, the records, the front, the winner."""
