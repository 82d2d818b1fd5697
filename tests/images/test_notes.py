"""What people and cameras have written into a file."""

from __future__ import annotations

import io

from PIL import ExifTags, Image, PngImagePlugin

from glocal.images.notes import read_details, read_notes

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmp:Rating="%s"
 xmp:Label="Red"><lr:hierarchicalSubject><rdf:Bag><rdf:li>family|Oma &amp; Opa</rdf:li></rdf:Bag>
</lr:hierarchicalSubject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def jpeg(**options: object) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (32, 24), "teal").save(written, "JPEG", **options)
    return written.getvalue()


def test_notes_are_what_people_wrote() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "at the lake"
    exif[ExifTags.Base.Copyright] = "Ada"
    exif[ExifTags.Base.Software] = "a program"
    data = jpeg(exif=exif, comment=b"before the rain", xmp=XMP % b"4")
    wanted = {"at the lake", "Ada", "before the rain", "rating 4", "Red", "family|Oma & Opa"}
    assert read_notes(data) == wanted


def test_what_programs_leave_is_no_note() -> None:
    assert read_notes(jpeg(comment=b"CREATOR: gd-jpeg v1.0", xmp=XMP % b"0")) == {
        "Red",
        "family|Oma & Opa",
    }
    assert read_notes(jpeg()) == frozenset()
    assert read_notes(b"no image") == read_notes(jpeg()[:40]) == frozenset()


def test_every_text_of_a_png_but_a_programs_own_is_a_note() -> None:
    written = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "a castle at dawn")
    info.add_text("Software", "a program")
    Image.new("RGB", (9, 9)).save(written, "PNG", pnginfo=info)
    assert read_notes(written.getvalue()) == {"a castle at dawn"}


def test_details_are_of_the_photograph_and_not_of_the_file() -> None:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.FNumber] = 2.8
    details[ExifTags.Base.ExifVersion] = b"0232"
    details[ExifTags.Base.ExifImageWidth] = 32
    assert read_details(jpeg(exif=exif)) == {int(ExifTags.Base.FNumber)}
    assert read_details(jpeg()) == read_details(b"no image") == frozenset()
