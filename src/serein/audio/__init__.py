"""Audio: from a file, bytes or an array to a float32 mono signal at 16 kHz, and its processing.

``read``         decoding within limits, mixing to mono, resampling; `check_signal`; chunks
``container``    checks of a file before it is decoded: unsupported or truncated
``media``        what PyAV decodes: videos, and what phones and browsers record
``frames``       windows, overlapping frames and their spectra
``denoise``      spectral subtraction, Wiener filter, adaptive cancellation
``voice``        voice activity detection
``microphone``   a microphone, chunk by chunk; a file as if it were one
``augment``      augmentations; ``channel``: telephone, codecs, filters; ``chain``: all by name
``conditions``   conditions of the robustness test
``nonspeech``    synthetic sounds that are not speech
"""
