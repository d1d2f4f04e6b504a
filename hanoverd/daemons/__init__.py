"""The running daemons of this host: found by their control sockets, checked, and asked.

All of it blocks.  Not here: what answers (``api``), and what shows the answers (``cli/client``, ``web``).
"""
