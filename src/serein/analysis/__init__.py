"""What a trained model does, and why: explanations, pictures, robustness tests. Needs [sound]."""
