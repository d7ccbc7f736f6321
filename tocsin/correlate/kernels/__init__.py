"""The compiled heart: small numba functions over flat arrays. `doors.py` is how Python calls them; nothing else here needs the compiler's
presence but what it compiles."""
