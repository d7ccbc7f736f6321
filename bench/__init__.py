"""The figures: one program a question, peers on the same data in the same run, answers compared before any rate is printed."""
