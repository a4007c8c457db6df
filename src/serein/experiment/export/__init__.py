"""Any estimator and encoder as ONNX, int8 and parity. Needs the extra [train]."""
