#!/bin/sh
# Makes the two tones again; needs ffmpeg.
set -eu
cd "$(dirname "$0")"
exact="-map_metadata -1 -fflags +bitexact -flags:a +bitexact"
ffmpeg -y -loglevel error -f lavfi -i "sine=frequency=455:sample_rate=16000:duration=6" -af volume=6dB $exact -c:a pcm_s16le tone-455hz.wav
ffmpeg -y -loglevel error -f lavfi -i "sine=frequency=600:sample_rate=48000:duration=6" -af volume=6dB $exact -c:a libopus -b:a 48k tone-600hz.opus.ogg
