#!/bin/sh
# Make the samples: synthetic speech by espeak-ng, and sounds without speech by sox.
# They show what the program prints, not how well it recognises: no person speaks here.
# Needs espeak-ng and sox. Usage: sh packaging/samples.sh
set -eu
cd "$(dirname "$0")/../samples"
say() { # name voice speed pitch text
    espeak-ng -v "$2" -s "$3" -p "$4" "$5" --stdout |
        sox -t wav - -r 16000 -b 16 "$1.flac" norm -3
}
say espeak-english-fast-high en-us+f3 220 85 "I cannot believe it, they have really done it again!"
say espeak-english-slow-low en-us+m3 110 15 "It has been raining since the morning, and nobody came."
say espeak-german de 165 50 "Heute Abend kommen wir mit dem letzten Zug nach Hause."
say espeak-mandarin cmn 160 55 "今天的天气很好,我们一起去公园吧。"
sox -n -r 16000 -b 16 pink-noise.flac synth 3 pinknoise vol 0.1
sox -n -r 16000 -b 16 silence.flac trim 0 2
say first de+f2 165 50 "Guten Tag, ich rufe wegen der Rechnung an."
say second de+m7 150 30 "Einen Augenblick bitte, ich sehe sofort nach."
sox first.flac silence.flac second.flac espeak-german-two-voices-with-pause.flac
rm first.flac second.flac
