"""The prediction service in plain Python, without HTTP, files or a model library."""
