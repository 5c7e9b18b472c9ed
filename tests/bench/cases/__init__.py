"""The cases, in the order in which they run."""

from __future__ import annotations

from typing import Final

from tests.bench.cases import api, crowd, fleet, images, network, process, pull, run, storm, streams
from tests.bench.figures import Case

CASES: Final[tuple[Case, ...]] = (
    run.RUN_RM,
    run.EXEC,
    crowd.CROWD,
    storm.STORM,
    run.LIFECYCLE,
    process.STOP,
    api.API,
    images.SMALL,
    images.BIG,
    images.MANY,
    pull.PULL,
    streams.LOGS,
    streams.ATTACH,
    network.NETWORK,
    fleet.FLEET,
)
