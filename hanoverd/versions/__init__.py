"""One version of an app: its container from creation to removal, whether it is ready, and when it exits.

Not here: which version is live, and what replaces it (``deploy``).
"""
