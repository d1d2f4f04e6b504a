"""Values as text, as Docker's command line reads and writes them: durations, sizes, booleans, quoted strings. Pure.

Here: parsers and formatters of one value. What does not belong here: everything that knows what an app is (``spec``).
"""
