"""File, bytes or array -> clean float32 mono signal at 16 kHz.

``read``       decode within limits, mono, resample; ``check_signal`` is the one validator
``container``  what a recording's container tells before it is decoded: foreign, cut short
"""
