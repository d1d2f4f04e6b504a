"""The edges: each module here talks to one thing outside this process, with one library."""
