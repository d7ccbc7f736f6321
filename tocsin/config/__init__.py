"""A city directory in, checked objects out: every mistake with its file and line and what would be valid (`load.py`, `check.py`).

What may be written is declared in tables (`feed_keys.py`, `city_keys.py`, `rules/keys.py`); editor schemas and the reference come from them.
"""
