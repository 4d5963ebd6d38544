"""Landmarks of photos, found by MediaPipe. Runs in an environment of its own (data/landmarks.py makes it).

    ENVIRONMENT/bin/python -I data/landmarks_worker.py FOLDER

For every `FOLDER/NAME.npy`, an (H, W, 3) uint8 RGB image, a `NAME.json`: the 33 landmarks of the person, or an empty
list where nobody is found.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(folder: Path) -> None:
    import mediapipe
    import numpy

    with mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as detector:
        for path in sorted(folder.glob("*.npy")):
            found = detector.process(numpy.load(path)).pose_landmarks
            marks = found.landmark if found else ()
            rows = [{"x": mark.x, "y": mark.y, "visibility": mark.visibility} for mark in marks]
            path.with_suffix(".json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
