#!/usr/bin/env python3
"""Scores what voice-bench-quality wrote and prints a table; fails when voice-receive is not ahead of the base lines.

    score.py OUT_DIR

Two figures a run, both of which are better when greater:

- MOS of ViSQOL in its speech mode (1 to 5), against the speech that was sent.
- Segmental SNR in dB, against what a perfect link would have given with the same packets, so that the codec's own
  noise is not in it: frames of 20 ms with speech in them, each between -10 and 35 dB, averaged. Receivers may move
  play-out: each frame is compared at the lag of up to 500 ms that fits the 180 ms around it best, whoever received it.
"""

import csv
import hashlib
import os
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import mean

# One thread for each of the processes below; read when numba is loaded.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import soundfile
from scipy.signal import resample_poly
from visqol import VisqolApi

RATE, FRAME, AROUND, LAG = 48_000, 960, 3_840, 24_000
SNR_RANGE = (-10.0, 35.0)
# Frames this far below the loudest one are pauses.
SPEECH_DB = -40.0
BASE_LINES = ["songbird-like", "reorder"]
# Differences in MOS and dB that are none. Without FEC there is nothing but libopus's concealment for songbird and for us.
EQUAL = (0.03, 0.5)

_api = None


def mos(reference: Path, heard: Path) -> float:
    """ViSQOL wants speech at 16 kHz."""
    global _api
    if _api is None:
        _api = VisqolApi()
        _api.create(mode="speech", use_lattice_model=True)
    speech, other = (resample_poly(soundfile.read(path)[0], 1, 3) for path in (reference, heard))
    return float(_api.measure_from_arrays(speech, other, 16_000).moslqo)


def lag_of(clean: np.ndarray, around: np.ndarray, start: int) -> int:
    """The lag at which `around`, from `start` on, differs least from `clean`, which has LAG samples more at both ends."""
    length = len(around)
    window = clean[start : start + length + 2 * LAG]
    size = 1 << (len(window) - 1).bit_length()
    spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(around, size))
    products = np.fft.irfft(spectrum, size)[: 2 * LAG + 1]
    sums = np.concatenate([[0.0], np.cumsum(window**2)])
    error = sums[length:] - sums[:-length] - 2 * products + np.sum(around**2)
    best = int(np.argmin(error))
    return 0 if error[LAG] <= 1.01 * error[best] + 1e-9 else best - LAG


def segmental_snr(clean_path: Path, heard_path: Path) -> float:
    clean, heard = soundfile.read(clean_path)[0], soundfile.read(heard_path)[0]
    energy = np.square(clean[: len(clean) // FRAME * FRAME]).reshape(-1, FRAME).sum(axis=1)
    padded = np.pad(clean, LAG)
    ratios = []
    for frame in np.flatnonzero(energy > energy.max() * 10 ** (SPEECH_DB / 10)):
        start = frame * FRAME
        first, last = max(0, start - AROUND), min(len(heard), start + FRAME + AROUND)
        lag = lag_of(padded, heard[first:last], first)
        wanted = padded[LAG + start + lag :][:FRAME]
        noise = np.sum((wanted - heard[start:][:FRAME]) ** 2)
        ratio = 10 * np.log10((np.sum(wanted**2) + 1e-12) / (noise + 1e-12))
        ratios.append(np.clip(ratio, *SNR_RANGE))
    return float(np.mean(ratios))


def score(job: tuple[Path, Path, Path]) -> tuple[float, float]:
    reference, clean, heard = job
    return mos(reference, heard), segmental_snr(clean, heard)


def score_all(folder: Path, runs: list[dict]) -> None:
    """Adds `mos` and `snr` to each run. Receivers that gave the same samples are scored once."""
    jobs = {}
    for run in runs:
        run["key"] = (run["clean"], hashlib.sha256((folder / run["file"]).read_bytes()).hexdigest())
        jobs[run["key"]] = (folder / "reference.wav", folder / run["clean"], folder / run["file"])
    with ProcessPoolExecutor() as pool:
        scores = dict(zip(jobs, pool.map(score, jobs.values())))
    for run in runs:
        run["mos"], run["snr"] = scores[run.pop("key")]


def is_won(fec: str, loss: int, base: str, ours: list[float], theirs: list[float]) -> bool:
    """Whether our MOS and SNR are as much better as they have to be."""
    level = all(a >= b - equal for a, b, equal in zip(ours, theirs, EQUAL))
    if loss == 0:
        return level
    if fec == "fec":
        return all(a > b for a, b in zip(ours, theirs))
    if base == "reorder":
        # No SNR: silence has exactly 0 dB where any guess at the waveform may have less, and sounds worse.
        return ours[0] > theirs[0]
    return level


def report(runs: list[dict]) -> list[str]:
    """Prints the tables; returns what is not as it should be."""
    receivers = list(dict.fromkeys(run["receiver"] for run in runs))
    ours = [name for name in receivers if name not in BASE_LINES]
    rows = defaultdict(lambda: defaultdict(list))
    for run in runs:
        rows[run["fec"], run["model"], int(run["loss"])][run["receiver"]].append(run)
    failures = []
    for fec, title in (("fec", "With FEC"), ("plain", "Without FEC")):
        print(f"\n{title}: MOS / segmental SNR in dB\n")
        print("| loss |", " | ".join(receivers), "|")
        print("| --- |", " | ".join("---" for _ in receivers), "|")
        for (_, model, loss), row in ((key, row) for key, row in rows.items() if key[0] == fec):
            mean_of = {name: [mean(run[figure] for run in row[name]) for figure in ("mos", "snr")] for name in receivers}
            cells = [f"{mean_of[name][0]:.2f} / {mean_of[name][1]:.1f}" for name in receivers]
            print(f"| {loss} % {model} |", " | ".join(cells), "|")
            wanted = [(name, base) for name in ours for base in BASE_LINES]
            for name, base in wanted:
                a, b = mean_of[name], mean_of[base]
                if not is_won(fec, loss, base, a, b):
                    told = [f"{who} {mos:.3f} / {snr:.2f} dB" for who, (mos, snr) in ((name, a), (base, b))]
                    failures.append(f"{fec}, {loss} % {model}: {', '.join(told)}")
    print("\nMean delay of what was heard, from the time it was sent:", end=" ")
    print(", ".join(f"{name} {mean(float(r['delay_ms']) for r in runs if r['receiver'] == name):.0f} ms" for name in receivers))
    return failures


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("wanted: score.py OUT_DIR")
    folder = Path(sys.argv[1])
    with open(folder / "runs.csv", newline="") as file:
        runs = list(csv.DictReader(file))
    score_all(folder, runs)
    with open(folder / "scores.csv", "w", newline="") as file:
        table = csv.DictWriter(file, runs[0].keys())
        table.writeheader()
        table.writerows(runs)
    failures = report(runs)
    if failures:
        sys.exit("\nvoice-receive is not ahead:\n" + "\n".join(failures))
    print("\nvoice-receive is ahead of both with FEC, and without it ahead of silence and level with libopus's concealment.")


if __name__ == "__main__":
    main()
