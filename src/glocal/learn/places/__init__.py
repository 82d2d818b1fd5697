"""Rendered places: rooms, corridors and streets of boxes, seen by a camera from many positions.

They give what collections of single images lack: second views of one place, with parallax, among
views of places that look much like it. numpy and Pillow alone.
"""

from glocal.learn.places.boxes import Camera, Face, Scene, render
from glocal.learn.places.builders import corridor, room, street
from glocal.learn.places.standpoints import groups

__all__ = ["Camera", "Face", "Scene", "corridor", "groups", "render", "room", "street"]
