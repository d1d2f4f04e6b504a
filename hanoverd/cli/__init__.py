"""The command line: Docker's grammar of flags, the options, help, and the commands.

What belongs here: everything between the arguments of a process and a specification (``spec``). What does not: the
meaning of a value (``spec``), and everything that a running daemon does.
"""
