"""glocal's own rows of the registry, one file for each kind of part.

They reach `glocal.registry` by the same entry point group as those of any other package. These
files hold data only: importing them imports none of the parts.
"""

from glocal.parts import (
    adapters,
    analyses,
    backbones,
    blocks,
    bridges,
    compressors,
    detectors,
    explainers,
    heads,
    locations,
    mergers,
    necks,
    objectives,
    queries,
    recipes,
    rerankers,
    stores,
    transforms,
)

ROWS = (
    *adapters.ROWS,
    *backbones.ROWS,
    *blocks.ROWS,
    *bridges.ROWS,
    *compressors.ROWS,
    *necks.ROWS,
    *heads.ROWS,
    *locations.ROWS,
    *mergers.ROWS,
    *objectives.ROWS,
    *queries.ROWS,
    *recipes.ROWS,
    *queries.ROWS,
    *rerankers.ROWS,
    *transforms.ROWS,
    *detectors.ROWS,
    *explainers.ROWS,
    *analyses.ROWS,
    *stores.ROWS,
)
