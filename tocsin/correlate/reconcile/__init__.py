"""Facts that came too late for the live engine: collected, judged with what is known of their time, and told as learnt late."""
