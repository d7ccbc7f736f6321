"""Forecasts of statsforecast: one job on stdin, one answer on stdout. What compiles does so on the first forecast, which is made twice and counted once."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from statsforecast.models import MSTL, AutoETS, DynamicOptimizedTheta, SeasonalExponentialSmoothingOptimized, SeasonalWindowAverage

DAY, WEEK = 24, 168
MODELS = {
    "AutoETS, day": lambda: AutoETS(season_length=DAY),
    "dynamic optimised theta, week": lambda: DynamicOptimizedTheta(season_length=WEEK),
    "MSTL, day and week": lambda: MSTL(season_length=[DAY, WEEK]),
    "seasonal exponential smoothing, week": lambda: SeasonalExponentialSmoothingOptimized(season_length=WEEK),
    "seasonal window average, 12 weeks": lambda: SeasonalWindowAverage(season_length=WEEK, window_size=12),
}


def main() -> None:
    job = json.load(sys.stdin)
    counts = np.array(job["counts"], float)
    found: dict[str, Any] = {}
    for name, model in MODELS.items():

        def ahead(cut: int, model: Any = model) -> list[float]:
            made: list[float] = model().forecast(y=counts[cut - job["past"] : cut], h=job["horizon"])["mean"].tolist()
            return made

        ahead(job["cuts"][0])
        began = time.process_time()
        found[name] = {"made": [ahead(cut) for cut in job["cuts"]], "cpu_s": time.process_time() - began}
        print(f"{name}: {found[name]['cpu_s']:.1f} s", file=sys.stderr)
    print(json.dumps(found))


main()
