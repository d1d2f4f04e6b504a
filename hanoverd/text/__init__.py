"""Small values as text, as Docker's command line reads and writes them: durations, sizes, booleans, quoted strings. Pure.

Here: parsers and formatters of one value. Not here: anything that knows what an app is (``spec``).
"""
