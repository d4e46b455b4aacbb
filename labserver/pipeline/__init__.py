"""Raw data to a bundle, and the uses of a bundle away from a request: score, replay, clock. Does not ship."""
