"""The prediction service in plain Python: no HTTP, no files, no model library."""
