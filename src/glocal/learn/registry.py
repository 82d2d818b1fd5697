"""Parts by name: what can be chosen, where it is published, which class builds it.

The table holds names, not classes, so that a command line can list the choices without importing
torch. A new part is one file and one line here; the contract tests of its kind then cover it.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal

from glocal.errors import LearnError, MissingExtraError

Kind = Literal["backbone", "head", "objective"]
INSTALL = 'pip install "glocal[learn]"'


@dataclass(frozen=True, slots=True)
class Part:
    """One selectable part of a model or of its training.

    Attributes:
        kind: what it is.
        name: how it is chosen.
        source: where it was published: authors, title, year.
        where: ``module:class`` that builds it.
    """

    kind: Kind
    name: str
    source: str
    where: str

    def load(self) -> Any:
        """Import the class.

        Raises:
            MissingExtraError: torch, or another package the part needs, is not installed.
        """
        module, _, attribute = self.where.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"the {self.kind} {self.name!r} needs {error.name}: {INSTALL}"
            ) from error


_HEADS, _OBJECTIVES = "glocal.learn.heads", "glocal.learn.objectives"
_LITE_SOURCE = (
    "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019; "
    "Liu, Higher accuracy on vision models with EfficientNet-Lite, 2020"
)

_PARTS: dict[tuple[Kind, str], Part] = {}


def register(part: Part) -> None:
    """Add a part of one's own.

    Raises:
        LearnError: the name is taken.
    """
    if (part.kind, part.name) in _PARTS:
        raise LearnError(f"there is a {part.kind} named {part.name!r} already")
    _PARTS[part.kind, part.name] = part


def names(kind: Kind) -> tuple[str, ...]:
    """The names of all parts of a kind, in the order they were added."""
    return tuple(name for known, name in _PARTS if known == kind)


def part(kind: Kind, name: str) -> Part:
    """The part of this name.

    Raises:
        LearnError: there is none; the text has the names there are.
    """
    try:
        return _PARTS[kind, name]
    except KeyError:
        near = get_close_matches(name, names(kind), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise LearnError(
            f"there is no {kind} named {name!r}; {hint}there are: {', '.join(names(kind))}"
        ) from None


for _entry in (
    *(
        Part(
            "backbone",
            f"efficientnet-lite{size}",
            _LITE_SOURCE,
            f"glocal.learn.backbones.efficientnet_lite:EfficientNetLite{size}",
        )
        for size in range(3)
    ),
    Part(
        "backbone",
        "timm",
        "Wightman, PyTorch Image Models, 2019",
        "glocal.learn.backbones.timm_model:TimmBackbone",
    ),
    Part(
        "head",
        "average",
        "Babenko and Lempitsky, Aggregating Deep Convolutional Features for Image Retrieval, 2015",
        f"{_HEADS}.average:Average",
    ),
    Part(
        "head",
        "max",
        "Razavian, Sullivan, Carlsson and Maki, Visual Instance Retrieval with Deep Convolutional "
        "Networks, 2016",
        f"{_HEADS}.maximum:Maximum",
    ),
    Part(
        "head",
        "rmac",
        "Tolias, Sicre and Jégou, Particular Object Retrieval with Integral Max-Pooling of CNN "
        "Activations, 2016",
        f"{_HEADS}.rmac:Rmac",
    ),
    Part(
        "head",
        "gem",
        "Radenović, Tolias and Chum, Fine-tuning CNN Image Retrieval with No Human Annotation, "
        "2019",
        f"{_HEADS}.gem:Gem",
    ),
    Part(
        "head",
        "superglobal",
        "Shao, Chen, Karpur, Cui, Araujo and Cao, Global Features are All You Need for Image "
        "Retrieval and Reranking, 2023",
        f"{_HEADS}.superglobal:SuperGlobal",
    ),
    Part(
        "head",
        "dolg",
        "Yang et al., DOLG: Single-Stage Image Retrieval with Deep Orthogonal Fusion of Local and "
        "Global Features, 2021",
        f"{_HEADS}.dolg:Dolg",
    ),
    Part(
        "head",
        "delf",
        "Noh, Araujo, Sim, Weyand and Han, Large-Scale Image Retrieval with Attentive Deep Local "
        "Features, 2017",
        f"{_HEADS}.delf:Delf",
    ),
    Part(
        "head",
        "delg",
        "Cao, Araujo and Sim, Unifying Deep Local and Global Features for Image Search, 2020",
        f"{_HEADS}.delg:Delg",
    ),
    Part(
        "head",
        "cfcd",
        "Zhu, Gao, Ke, Qiao and Sun, Coarse-to-Fine: Learning Compact Discriminative "
        "Representation for Single-Stage Image Retrieval, 2023",
        f"{_HEADS}.cfcd:Cfcd",
    ),
    Part(
        "objective",
        "arcface",
        "Deng, Guo, Xue and Zafeiriou, ArcFace: Additive Angular Margin Loss for Deep Face "
        "Recognition, 2019",
        f"{_OBJECTIVES}.arcface:ArcFace",
    ),
    Part(
        "objective",
        "cosface",
        "Wang et al., CosFace: Large Margin Cosine Loss for Deep Face Recognition, 2018",
        f"{_OBJECTIVES}.cosface:CosFace",
    ),
    Part(
        "objective",
        "softmax",
        "Zhai and Wu, Classification is a Strong Baseline for Deep Metric Learning, 2019",
        f"{_OBJECTIVES}.softmax:NormalisedSoftmax",
    ),
    Part(
        "objective",
        "triplet",
        "Schroff, Kalenichenko and Philbin, FaceNet: A Unified Embedding for Face Recognition and "
        "Clustering, 2015",
        f"{_OBJECTIVES}.triplet:Triplet",
    ),
    Part(
        "objective",
        "contrastive",
        "Hadsell, Chopra and LeCun, Dimensionality Reduction by Learning an Invariant Mapping, "
        "2006",
        f"{_OBJECTIVES}.contrastive:Contrastive",
    ),
    Part(
        "objective",
        "supcon",
        "Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu and Krishnan, Supervised "
        "Contrastive Learning, 2020",
        f"{_OBJECTIVES}.supervised_contrastive:SupervisedContrastive",
    ),
    Part(
        "objective",
        "proxy-anchor",
        "Kim, Kim, Cho and Kwak, Proxy Anchor Loss for Deep Metric Learning, 2020",
        f"{_OBJECTIVES}.proxy_anchor:ProxyAnchor",
    ),
    Part(
        "objective",
        "adaptive",
        "Zhu, Gao, Ke, Qiao and Sun, Coarse-to-Fine: Learning Compact Discriminative "
        "Representation for Single-Stage Image Retrieval, 2023",
        f"{_OBJECTIVES}.adaptive:AdaptiveSoftmax",
    ),
    Part(
        "objective",
        "instance",
        "Pizzi, Roy, Ravindra, Goyal and Douze, A Self-Supervised Descriptor for Image Copy "
        "Detection, 2022",
        f"{_OBJECTIVES}.instance:InstanceDiscrimination",
    ),
):
    register(_entry)
