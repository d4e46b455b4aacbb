"""Training, export, the bundle, and the predictors that read it."""
