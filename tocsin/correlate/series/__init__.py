"""4 match, beside the kernels: operators that keep a history in event-time order (`change`, `rate`, `timer`, `zone` ...).

`runner.py` feeds them, `track.py` keeps a history and what it gave, one module per operator says what matches, `outlet.py`
hands matches to the kernels, which thin, suppress and tell them.
"""
