"""The course around the service: the ``lab`` command."""
