"""A history cut into parts by place or by source: each is matched apart from the others, and one run tells what all of them found, exactly as if it had found it."""
