"""First floor: how good, and for whom; any estimator, any labels."""
