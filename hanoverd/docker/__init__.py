"""The Docker engine: its API and address, registry credentials, build contexts and BuildKit.

Here: everything that knows how Docker works. Not here: which container or image is wanted, and when (``deploy``,
``images``).
"""
