"""Search for better settings in folds of unseen speakers, by Optuna. Needs the extra [train]."""
