"""What the user wants, as values: the app, its container, its ports, its image, its policies. Pure.

Here: the values, how their text is parsed, and whether they are valid. Not here: the command line that they come from
(``cli``), and what is done with them.
"""
