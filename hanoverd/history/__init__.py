"""The history of an app's handovers: what a handover's record holds, and the file that keeps the records.

Not here: who makes the records (``deploy``), and who shows them (``api``, ``cli``).
"""
