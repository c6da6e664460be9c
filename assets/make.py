#!/usr/bin/env python3
"""Synthesises the audio files of this folder. Needs Python 3.9 and ffmpeg; run it from anywhere: `python3 make.py`."""

import math
import pathlib
import random
import struct
import subprocess
import tempfile
import wave

FOLDER = pathlib.Path(__file__).resolve().parent
PEAK = 0.6  # -4.4 dBFS: room for the overshoot of lossy codecs
ATTACK = 0.003
NAMES = {name: step for step, name in enumerate("C C# D D# E F F# G G# A A# B".split())}


def pitch(name):
    """Hz of a note such as `F#4`, equal temperament, A4 = 440 Hz."""
    return 440.0 * 2 ** ((NAMES[name[:-1]] + 12 * int(name[-1]) - 57) / 12)


# An instrument: (partial's multiple of the pitch, its level, its decay time in seconds) per partial.
PLUCK = [(n, 1 / n**1.3, 0.55 / n**0.6) for n in range(1, 9)]
BELL = [(0.5, 0.4, 0.9), (1, 1, 0.7), (2.0, 0.5, 0.45), (2.76, 0.45, 0.3), (5.4, 0.25, 0.15), (8.93, 0.12, 0.07)]
REED = [(n, 1 / n, 0.8) for n in range(1, 12, 2)]
BRASS = [(n, 1 / n**0.9, 0.9 / n**0.4) for n in range(1, 13)]
GLASS = [(1, 1, 0.35), (4, 0.3, 0.12), (10.2, 0.08, 0.04)]


class Piece:
    """A few seconds of stereo sound; mono files take the sum."""

    def __init__(self, rate, seconds, seed):
        self.rate, self.length = rate, round(rate * seconds)
        self.random = random.Random(seed)
        self.sides = [[0.0] * self.length, [0.0] * self.length]

    def add(self, at, sound, level, pan):
        """Adds samples at a time in seconds; pan runs from -1 (left) to 1 (right), at constant power."""
        angle = (pan + 1) * math.pi / 4
        start = round(at * self.rate)
        for side, gain in zip(self.sides, (math.cos(angle) * level, math.sin(angle) * level)):
            for index, sample in enumerate(sound[: max(0, self.length - start)]):
                side[start + index] += gain * sample

    def note(self, at, name, instrument, seconds, level=1.0, pan=0.0):
        sound = [0.0] * round(seconds * self.rate)
        for multiple, weight, decay in instrument:
            frequency = pitch(name) * multiple
            if frequency > 15_000:
                continue
            step, phase = 2 * math.pi * frequency / self.rate, self.random.uniform(0, 2 * math.pi)
            fall, loudness = math.exp(-1 / (decay * self.rate)), weight
            for index in range(len(sound)):
                sound[index] += loudness * math.sin(phase + step * index)
                loudness *= fall
        self.add(at, self.shaped(sound), level, pan)

    def drum(self, at, level=1.0, pan=0.0):
        """A sine that falls from 160 to 50 Hz."""
        sound, phase = [], 0.0
        for index in range(round(0.18 * self.rate)):
            time = index / self.rate
            phase += 2 * math.pi * (50 + 110 * math.exp(-time / 0.03)) / self.rate
            sound.append(math.sin(phase) * math.exp(-time / 0.06))
        self.add(at, self.shaped(sound), level, pan)

    def tick(self, at, level=1.0, pan=0.0):
        """A short burst of noise, its low end taken off."""
        sound, before = [], 0.0
        for index in range(round(0.04 * self.rate)):
            noise = self.random.uniform(-1, 1)
            sound.append((noise - before) * math.exp(-index / self.rate / 0.008))
            before = noise
        self.add(at, self.shaped(sound), level, pan)

    def shaped(self, sound):
        """Takes the click off both ends, and leaves the attack sharp."""
        rise, fall = round(ATTACK * self.rate), round(0.01 * self.rate)
        for index in range(min(rise, len(sound))):
            sound[index] *= index / rise
        for index in range(min(fall, len(sound))):
            sound[-1 - index] *= index / fall
        return sound

    def write(self, path, channels):
        sides = self.sides if channels == 2 else [[(l + r) / 2 for l, r in zip(*self.sides)]]
        gain = 32_767 * PEAK / max(abs(sample) for side in sides for sample in side)
        frames = [round(sample * gain) for frame in zip(*sides) for sample in frame]
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(struct.pack(f"<{len(frames)}h", *frames))


def bells(piece):
    for at, name, pan in [(0.08, "E5", 0), (0.55, "C5", 0), (0.86, "D5", 0), (1.3, "G4", 0), (1.96, "B4", 0), (2.14, "D5", 0)]:
        piece.note(at, name, BELL, 0.9, pan=pan)


def arpeggio(piece):
    tune = "D4 F4 A4 D5 F5 A5 G5 E5 C5 A4 G#4 B4 E5 G#5 A5".split()
    for index, name in enumerate(tune):
        at = 0.06 + 0.155 * index + (0.03 if index % 3 == 1 else 0)
        piece.note(at, name, PLUCK, 0.6, pan=0.8 * math.sin(index * 1.1))
    for at, name in [(0.06, "D3"), (1.3, "A2"), (1.61, "E3")]:
        piece.note(at, name, PLUCK, 1.0, level=0.8, pan=-0.2)


def waltz(piece):
    beat = 0.29
    for bar, (bass, chord, tune) in enumerate([("G3", "B4 D5", "G5"), ("E3", "B4 E5", "B5"), ("C3", "C5 E5", "A5")]):
        start = 0.05 + bar * beat * 3.1
        piece.note(start, bass, PLUCK, 0.5, pan=-0.6)
        piece.note(start, tune, GLASS, 0.8, level=0.9, pan=0.7)
        for offset in (1, 2):
            for name in chord.split():
                piece.note(start + offset * beat, name, REED, 0.14, level=0.35, pan=0.3)
            piece.tick(start + offset * beat, level=0.15, pan=-0.8)


def chorale(piece):
    for at, names in [(0.1, "A3 C4 E4 A4"), (0.82, "D4 F4 A4"), (1.33, "G3 B3 D4 G4"), (2.2, "C4 E4 G4 C5")]:
        for name in names.split():
            piece.note(at, name, REED, 0.6, level=0.5)
        piece.drum(at, level=0.8)


def march(piece):
    for index, at in enumerate([0.05, 0.3, 0.42, 0.55, 0.8, 1.05, 1.3, 1.36, 1.42, 1.55, 1.8, 2.05, 2.3, 2.42, 2.55]):
        (piece.drum if index % 3 == 0 else piece.tick)(at, level=1.0 if index % 3 == 0 else 0.45, pan=-0.5)
    for at, name in [(0.05, "C5"), (0.55, "G4"), (0.8, "A4"), (1.3, "B4"), (1.55, "C5"), (2.05, "E5"), (2.55, "D5")]:
        piece.note(at, name, GLASS, 0.4, pan=0.5)


def music_box(piece):
    tune = "B5 F#5 D5 B4 C#5 D5 E5 F#5 A5 G5 E5 C#5".split()
    for index, name in enumerate(tune):
        at = 0.07 + 0.2 * index + 0.02 * (index * index % 5)
        piece.note(at, name, GLASS, 0.7, pan=0.7 if index % 2 else -0.7)
        if index % 4 == 0:
            piece.note(at, name[:-1] + "4", BELL, 0.8, level=0.4)


def fanfare(piece):
    for at, name, seconds in [
        (0.06, "F4", 0.2), (0.3, "F4", 0.1), (0.42, "F4", 0.1), (0.55, "A#4", 0.42), (1.05, "D5", 0.2),
        (1.3, "C5", 0.2), (1.55, "F5", 0.5), (2.2, "D#5", 0.14), (2.37, "F5", 0.6),
    ]:
        piece.note(at, name, BRASS, seconds, pan=-0.3)
        piece.note(at + 0.011, name[:-1] + "3", BRASS, seconds, level=0.5, pan=0.6)
    piece.drum(2.37, level=1.5)


def ding(piece):
    piece.note(0.01, "A5", BELL, 0.3)


# name, rate, channels, seconds, what is played, what ffmpeg is told (None: the synthesised WAV itself)
FILES = [
    ("bells-44k-mono.wav", 44_100, 1, 3.0, bells, None),
    ("arpeggio-48k-stereo.flac", 48_000, 2, 3.0, arpeggio, ["-c:a", "flac", "-compression_level", "12"]),
    ("waltz-44k-stereo.mp3", 44_100, 2, 3.1, waltz, ["-c:a", "libmp3lame", "-b:a", "160k"]),
    ("chorale-44k-mono-vorbis.ogg", 44_100, 1, 3.2, chorale, ["-c:a", "libvorbis", "-q:a", "5"]),
    ("march-48k-stereo-opus.ogg", 48_000, 2, 3.1, march, ["-c:a", "libopus", "-b:a", "128k"]),
    ("music-box-44k-stereo.m4a", 44_100, 2, 3.2, music_box, ["-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart"]),
    ("fanfare-48k-mono-opus.webm", 48_000, 1, 3.1, fanfare, ["-c:a", "libopus", "-b:a", "96k"]),
    ("ding-48k-mono.wav", 48_000, 1, 0.4, ding, None),
]


def main():
    for seed, (name, rate, channels, seconds, play, codec) in enumerate(FILES):
        piece = Piece(rate, seconds, seed)
        play(piece)
        target = FOLDER / name
        if codec is None:
            piece.write(target, channels)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                source = pathlib.Path(scratch) / "source.wav"
                piece.write(source, channels)
                exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
                command = ["ffmpeg", "-y", "-loglevel", "error", "-i", source, *codec, *exact, target]
                subprocess.run(command, check=True)
        print(f"{name:32} {target.stat().st_size:8} bytes")


if __name__ == "__main__":
    main()
