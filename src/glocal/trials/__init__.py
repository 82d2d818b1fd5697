"""Trials: each measures one method of the catalogue against a baseline, on small real data.

A trial is a module ``glocal.trials.<stage>.<name>`` with a `Claim` named ``CLAIM`` and two
functions of a `Lab`, ``method`` and ``baseline``, which return a number or an array. The runner
(`glocal.trials.runner`) calls both with the same seeds and decides; the trial does not.
``docs/adding_a_method.md`` has an example.
"""

from glocal.methods.claim import Claim
from glocal.trials.lab import Lab

__all__ = ["Claim", "Lab"]
