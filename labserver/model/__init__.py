"""The bundle, the predictor that runs its model, and the reference statistics of training."""
