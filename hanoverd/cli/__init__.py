"""The command line: Docker's grammar of flags, the options, help, and the commands.

Here: everything between the arguments of a process and a specification (``spec``). Not here: what an option's value
means (``spec``), and anything that a running daemon does.
"""
