"""The commands that talk to running daemons: ``list``, ``status``, ``deploy`` and so on.

They block, and import only what they need, so that they start fast. Not here: the other end (``api``).
"""
