"""hookbot: listening to one, and being one."""
