"""1 receive, 2 decode: bytes from outside become events; a feed is a transport and a format (`contract.py`)."""
