"""What keeps the vectors of a gallery, and how: as its description says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from glocal.gallery.packed_features import Form
from glocal.gallery.stores.coding import CODINGS, Coding

STORES = {"flat": 5, "milvus": 5}
"""What can keep the vectors, and the latest version of how a gallery keeps them and its local
features. Version 1: numbers of vectors as float16, those of local features as bytes. Version 2:
both as bytes. Version 3: as bytes, and as 4 bits. Version 4: as bytes, and as product codes.
Version 5: both as bytes, but for local features that would take too much so, which are kept as
product codes."""

NEW, COMPACT = 5, 4
"""The versions of galleries that are made."""

_BYTES = 2  # the version that `NEW` followed

_FORMS: dict[int, Form] = {1: "bytes", 2: "bytes", 3: "nibbles", 4: "codes", 5: "either"}


@dataclass(frozen=True, slots=True)
class StorePlace:
    """What keeps the vectors of a gallery.

    Attributes:
        kind: a name in `STORES`.
        version: of how the gallery keeps vectors and local features; it stays as it was made.
        collection: of a cluster, in which they are.
        catalogue: the PostgreSQL schema of the catalogue; empty where it is in the folder.
    """

    kind: str = "flat"
    version: int = 1
    collection: str = ""
    catalogue: str = ""

    def __post_init__(self) -> None:
        if self.version not in CODINGS:
            raise ValueError(f"there is no version {self.version!r} of the store")

    @property
    def coding(self) -> Coding:
        """How a vector lies in its row."""
        return CODINGS[self.version]

    @property
    def descriptors(self) -> Form:
        """How descriptors of local features are kept."""
        return _FORMS[self.version]

    @property
    def compact(self) -> bool:
        """Whether they take less than bytes."""
        return self.descriptors in ("nibbles", "codes")

    def for_new_local_features(self) -> StorePlace:
        """The same with local features that versions of glocal before `NEW` do not read."""
        return replace(self, version=NEW) if self.version == _BYTES else self

    @property
    def elsewhere(self) -> bool:
        """Whether they lie outside the gallery's folder."""
        return self.kind != "flat"


EMBEDDED = StorePlace()
"""Of galleries of format 1, and of those that they became."""
