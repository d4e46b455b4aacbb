"""The service as an image: how it is made, what is checked about it, what watches it."""
