"""Values, pure: what things are, and what they look like as text."""
