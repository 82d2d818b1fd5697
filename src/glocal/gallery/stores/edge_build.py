"""Build the HNSW graph of the shard in the folder named on the command line, then exit.

Run as a process of its own by `EdgeStore`, because the call blocks and keeps Python's global lock.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Open the shard, optimise it, close it."""
    import qdrant_edge  # nothing is imported for a wrong command line

    (folder,) = sys.argv[1:]
    if hasattr(os, "nice"):
        os.nice(5)  # queries of the parent come first
    shard = qdrant_edge.EdgeShard.load(folder)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
