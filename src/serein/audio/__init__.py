"""File, bytes or array -> clean float32 mono signal at 16 kHz.

``read``       decode within limits, mono, resample; ``check_signal`` is the one validator
``container``  what a recording's container tells before it is decoded: foreign, cut short
``frames``     windows, overlapping frames, the short-time Fourier transform and back
``video_sound``  the sound of a video
``denoise``    spectral subtraction, Wiener, adaptive cancellation
``voice``      where speech is
``record``     a microphone, chunk by chunk; ``play`` a file as if it were one
``augment``    changed copies: noise, overlay, stretch, pitch, speed, gain, shuffle, room
``channel``    lines, codecs, microphones; ``chain`` calls all of these by name
``nonspeech``  sounds that are not speech, drawn from a seed
"""
