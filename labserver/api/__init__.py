"""The HTTP interface: routes, errors, limits. It knows the catalogue's features and no model library."""
