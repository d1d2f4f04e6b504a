"""Small tools for Deferreds: cancellation that waits, processes, polling intervals."""
