"""Location encoders: networks that make a vector of a position on Earth.

Each is a part of the kind ``query`` with the trait ``location``: a module that is made with the
length of its vectors and takes ``(n, 2)`` float32 latitudes and longitudes in degrees to ``(n,
width)`` float32. One with the trait ``sphere`` knows no seam: its vectors are the same on both
sides of the date line, and all longitudes meet at a pole.
"""
