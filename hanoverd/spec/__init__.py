"""What the user asks for, as values: ``AppSpec`` and its parts, and those of the other programs. Pure.

What belongs here: the values, how their text is parsed, and whether they are valid. What does not: the command line
(``cli``), and everything that acts on the values.
"""
