"""Rendered places: rooms, corridors and streets made of boxes, seen from many positions.

They provide what collections of single images lack: second views of one place, with parallax, among
views of places that look similar. Needs only numpy and Pillow.
"""

from glocal.learn.places.boxes import Camera, Face, Scene, render
from glocal.learn.places.builders import corridor, room, street
from glocal.learn.places.standpoints import groups

__all__ = ["Camera", "Face", "Scene", "corridor", "groups", "render", "room", "street"]
