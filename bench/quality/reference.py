#!/usr/bin/env python3
"""Makes the reference: eight recordings of a woman's voice at 48 kHz, the loudspeaker names of alsa-utils, 12 s in all.

    reference.py OUT.wav

Takes them from /usr/share/sounds/alsa, else from the Debian package, which is downloaded and unpacked beside OUT.wav but
not installed. alsa-utils is GPL-2; nothing of it is part of this repository.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

NAMES = [f"{row}_{side}" for row in ("Front", "Rear", "Side") for side in ("Center", "Left", "Right")]
NAMES.remove("Side_Center")
INSTALLED = Path("usr/share/sounds/alsa")
RATE = 48_000
# Silence first: receivers settle, and may lose it.
LEAD = np.zeros(RATE // 2)


def recordings(beside: Path) -> Path:
    """The folder that has them."""
    if (Path("/") / INSTALLED).is_dir():
        return Path("/") / INSTALLED
    unpacked = beside / "alsa-utils"
    if not unpacked.is_dir():
        beside.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "alsa-utils"], cwd=beside, check=True)
        package = max(beside.glob("alsa-utils_*.deb"))
        subprocess.run(["dpkg", "-x", package, unpacked], check=True)
    return unpacked / INSTALLED


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("wanted: reference.py OUT.wav")
    out = Path(sys.argv[1])
    folder = recordings(out.parent)
    parts = [LEAD]
    for name in NAMES:
        samples, rate = soundfile.read(folder / f"{name}.wav")
        if rate != RATE or samples.ndim != 1:
            sys.exit(f"{name}.wav is not mono at 48 kHz: another alsa-utils than expected")
        parts.append(samples)
    soundfile.write(out, np.concatenate(parts), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
