"""The rule language: YAML documents to a checked plan, with errors that name file and line and say what would be valid.

keys (what may be written) -> parse -> nodes (operators) + condition (expression) -> check -> compile -> `model.plan`; explain says it in words.
"""
