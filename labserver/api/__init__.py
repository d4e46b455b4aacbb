"""HTTP: routes, errors, limits. Knows no model and no features."""
