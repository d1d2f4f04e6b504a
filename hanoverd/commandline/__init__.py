"""The command line, pure: one table of options, how it is read, and how it is explained."""
