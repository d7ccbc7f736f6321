"""Alert parts: what becomes of an alert between the match that raised it and the journal (`alert.per.same`, `dedup`, `resolve`, `fold`, `budget`, `context`, `severity.steps.active`)."""
