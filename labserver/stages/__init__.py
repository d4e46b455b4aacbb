"""Teaching: what the service is at each lesson, and a learner's own parts in it. Does not ship."""
