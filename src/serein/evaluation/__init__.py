"""Evaluation of any estimator on unseen speakers. Needs [sound]; search needs [train]."""
