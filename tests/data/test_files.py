"""Files as cameras and scanners write them: every ending, depth and shape; damage is named."""

import io
import struct
import warnings
import zlib

import numpy
import pytest
import tifffile
import torch
from picture_folders import fill, noise
from PIL import Image

from labutils.data import DataError, decoding, folder
from labutils.data.decoding import Preparation, scale_of
from labutils.data.layouts.tree import endings


@pytest.fixture
def top(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "kept"))
    return tmp_path / "set"


def opened(path, **how):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        domain = folder(path, 32, **how)
    assert len(caught) == len(domain.notes), "no warning by Pillow of a single file"
    return domain, "\n".join(domain.notes)


@pytest.mark.parametrize(
    "ending, kind",
    [
        ("jfif", "JPEG"),
        ("jpe", "JPEG"),
        ("JFIF", "JPEG"),
        ("avif", "AVIF"),
        ("mpo", "MPO"),
        ("jp2", "JPEG2000"),
    ]
    + [(name, None) for name in ("ppm", "tga", "dib", "pcx", "apng", "qoi", "sgi", "ico")],
)
def test_every_ending_that_pillow_opens_counts(top, ending, kind):
    fill(top / "a", top / "b", count=3)
    for number in range(4):
        noise().save(top / "a" / f"of two.dots{number}.{ending}", format=kind)
    assert opened(top)[0].labels.bincount().tolist() == [7, 3]


def test_endings_that_pillow_only_names_do_not_count():
    assert {".jfif", ".avif", ".mpo", ".tif", ".webp"} <= endings()
    assert endings().isdisjoint({".pdf", ".mpg", ".h5", ".eps", ".txt"})


# ---- deep pictures


def deep(top, save, levels=(1000, 4000)) -> None:
    """Six pictures a class whose values go up to a level."""
    for name, level in zip("ab", levels, strict=True):
        (top / name).mkdir(parents=True)
        for number in range(6):
            values = numpy.linspace(0, level * (1 - 0.02 * number), 40 * 40).reshape(40, 40)
            save(top / name / f"{number}", values)


def png(file, values):
    Image.fromarray(values.astype(numpy.uint16)).save(f"{file}.png")


def tiff(kind):
    return lambda file, values: tifffile.imwrite(f"{file}.tif", values.astype(kind))


def brightest(domain) -> list[int]:
    """Largest level of a class's pictures."""
    return [int(domain.images[domain.labels == label].max()) for label in (0, 1)]


@pytest.mark.parametrize(
    "save, levels, white",
    [
        (png, (1000, 4000), 4095),
        (png, (200, 1000), 1023),
        (png, (9000, 16000), 16383),
        (png, (9000, 65000), 65535),
        (png, (100, 255), 255),
        (tiff("uint16"), (1000, 4000), 4095),
        (tiff(">u2"), (1000, 4000), 4095),
        (tiff("int32"), (1000, 4000), 4095),
        (tiff("uint32"), (100_000, 1_000_000), 2**20 - 1),
        (tiff("float32"), (0.2, 1.0), 1),
        (tiff("float32"), (60.0, 250.0), 255),
    ],
    ids=["12", "10", "14", "16", "8 in 16", "tiff", "big-endian", "int32", "20", "0 to 1", "0 to 255"],
)
def test_deep_pictures_are_scaled_by_what_the_set_holds(top, save, levels, white):
    deep(top, save, levels)
    domain, said = opened(top)
    for found, level in zip(brightest(domain), levels, strict=True):
        assert abs(found - 255 * level / white) < 12 and found > 255 * level / white - 12
    assert "12 of 12 pictures hold more than 8 bits" in said and f"0 to {white} became" in said
    assert domain.scale == (0, white) and domain.preparation == Preparation(32, "crop", (0, white))


def write_deep_colour(file, values, orientation: int = 1):
    """PNG of two to four channels of 16 bits, the even ones with transparency, which Pillow cannot write."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width, channels = values.shape
    turned = chunk(
        b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HHI", orientation, 0, 0)
    )
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
    with open(file, "wb") as out:
        out.write(
            b"\x89PNG\r\n\x1a\n" + head + turned + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
        )


@pytest.mark.parametrize("ending", ["png", "tif", "zip.tif", "big.tif"])
def test_sixteen_bits_of_colour_are_read_whole(top, ending):
    """Pillow alone would keep the upper eight: four of twelve bits."""

    def save(file, values):
        colour = numpy.stack([values, values / 2, 0 * values], 2).astype(numpy.uint16)
        if ending == "png":
            return write_deep_colour(f"{file}.png", colour)
        how = {"compression": "deflate"} if ending == "zip.tif" else {}
        order = ">" if ending == "big.tif" else "<"
        tifffile.imwrite(f"{file}.tif", colour, photometric="rgb", byteorder=order, **how)

    deep(top, save)
    domain, said = opened(top)
    assert abs(brightest(domain)[1] - 249) < 12 and "0 to 4095" in said
    assert domain.images[-1, 0].max() > 1.9 * domain.images[-1, 1].max() > 3 * domain.images[-1, 2].max()


@pytest.mark.parametrize("channels", [2, 4])
def test_sixteen_bits_with_transparency_too(top, channels):
    def save(file, values):
        opaque = numpy.full_like(values, 65535)
        write_deep_colour(f"{file}.png", numpy.stack([*[values] * (channels - 1), opaque], 2))

    deep(top, save)
    domain, said = opened(top)
    assert abs(brightest(domain)[0] - 62) < 8 and abs(brightest(domain)[1] - 249) < 12 and "0 to 4095" in said


def test_what_is_transparent_in_sixteen_bits_becomes_white(tmp_path):
    values = numpy.zeros((40, 40, 4))
    values[:20, :, 3] = 65535
    write_deep_colour(tmp_path / "a.png", values)
    pixels = decoding.read_picture(tmp_path / "a.png", Preparation(32, scale=(0, 65535)))
    assert pixels[:, 2].max() == 0 and pixels[:, -2].min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bits_of_colour_are_turned_upright(tmp_path, orientation):
    values = numpy.random.default_rng(0).integers(0, 65536, (40, 40, 3))
    write_deep_colour(tmp_path / "deep.png", values, orientation)
    with Image.open(tmp_path / "deep.png") as file:
        exif = file.getexif()
    Image.fromarray((values // 256).astype("uint8")).save(tmp_path / "flat.png", exif=exif)
    prepare = Preparation(32, scale=(0, 65535))
    deep_one, flat = (
        decoding.read_picture(tmp_path / f"{name}.png", prepare).int() for name in ("deep", "flat")
    )
    assert (deep_one - flat).abs().max() <= 1


def test_a_deep_picture_from_memory_is_as_deep(tmp_path):
    values = numpy.random.default_rng(0).integers(0, 4096, (40, 40, 3))
    write_deep_colour(tmp_path / "a.png", values)
    prepare = Preparation(32, scale=(0, 4095))
    from_memory = Image.open(io.BytesIO((tmp_path / "a.png").read_bytes()))
    assert torch.equal(prepare(from_memory), decoding.read_picture(tmp_path / "a.png", prepare))


def test_values_below_zero_are_black_at_the_smallest(top):
    deep(top, lambda file, values: tifffile.imwrite(f"{file}.tif", (values - 1000).astype("int16")))
    domain, said = opened(top)
    assert domain.scale == (-1000, 3000) and "-1000 to 3000" in said and domain.images.min() < 5


def test_missing_values_are_black(top):
    def save(file, values):
        values[:10] = numpy.nan
        tifffile.imwrite(f"{file}.tif", values.astype("float32"))

    deep(top, save)
    assert opened(top)[0].images[:, :, :4].max() == 0


def test_deep_pictures_among_others_leave_those_as_they_are(top):
    deep(top, png)
    noise().save(top / "a" / "plain.png")
    plain = (top / "a" / "plain.png").read_bytes()
    domain, said = opened(top)
    fill(top.parent / "other" / "a", top.parent / "other" / "b")
    (top.parent / "other" / "a" / "plain.png").write_bytes(plain)
    other, _ = opened(top.parent / "other")
    assert "12 of 13" in said and torch.equal(domain.images[6], other.images[4])


def test_a_later_deep_picture_is_scaled_as_the_set():
    later = Image.fromarray(numpy.full((40, 40), 1000, numpy.uint16))
    assert Preparation(32, scale=(0, 4095))(later).unique().tolist() == [62]
    assert Preparation(32)(later).unique().tolist() == [249], "by itself: 10 bits"


def test_streamed_pictures_are_the_same(top, monkeypatch):
    deep(top, png)
    for number in range(3):
        noise((200, 40)).save(top / "a" / f"strip{number}.png")
    (top / "b" / "copy.png").write_bytes((top / "b" / "0.png").read_bytes())
    for fit in decoding.FITS:
        held, said = opened(top, fit=fit)
        with monkeypatch.context() as patch:
            patch.setattr(decoding, "MOST_BYTES", 33_000)
            for _ in range(2):  # decoded, and what is known of them read back
                streamed, also_said = opened(top, fit=fit)
                assert "streamed" in repr(streamed) and said == also_said and held.scale == streamed.scale
                assert torch.equal(held.test, streamed.test)
                assert torch.equal(held.images[:5], streamed.images[:5])
                assert torch.equal(held.images[-8:], streamed.images[-8:])


@pytest.mark.parametrize(
    "extents, scale",
    [([(0, 0)], (0, 1)), ([(5, 5)], (0, 255)), ([(0, 2.5)], (0, 255)), ([(-2, -2)], (-2, -1))],
)
def test_scales_of_flat_pictures(extents, scale):
    assert scale_of(extents) == scale


# ---- shapes


def strips(top) -> None:
    """Pictures that differ at their ends only."""
    for name, side in (("a", slice(0, 40)), ("b", slice(360, 400))):
        (top / name).mkdir(parents=True)
        for number in range(5):
            values = numpy.full((40, 400, 3), 128, numpy.uint8)
            values[:, side] = (250, number, number)
            Image.fromarray(values).save(top / name / f"{number}.png")


def test_the_crop_of_strips_is_advised_against_and_their_ends_are_no_copies(top):
    strips(top)
    domain, said = opened(top)
    assert "10 of 10 pictures are more than twice as long as wide" in said and "about 10% of them" in said
    assert 'fit="pad"' in said and "copies" not in said and domain.images.unique().tolist() == [128]


@pytest.mark.parametrize("fit, rows", [("pad", slice(15, 17)), ("squash", slice(0, 32))])
def test_pad_and_squash_keep_the_whole_picture(top, fit, rows):
    strips(top)
    opened(top)  # what is kept decoded of another fit is not taken
    domain, said = opened(top, fit=fit)
    ends = domain.images[:, 0, rows][:, :, [0, -1]].float().mean(1)
    assert (ends[:5, 0] > 200).all() and (ends[:5, 1] < 140).all()
    assert (ends[5:, 1] > 200).all() and (ends[5:, 0] < 140).all()
    assert domain.preparation.fit == fit and "twice as long" not in said
    if fit == "pad":
        assert domain.images[:, :, :10].unique().tolist() == [128]


def test_an_unknown_fit(top):
    with pytest.raises(DataError, match='fit=.stretch. must be "crop".*"pad".*"squash"'):
        folder(top, 32, fit="stretch")


# ---- modes, pages, damage


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"]
)
def test_every_mode_that_pillow_has_becomes_colour(mode):
    picture = Image.new("L", (50, 40), 1).convert(mode) if mode in ("1", "L") else Image.new(mode, (50, 40))
    assert Preparation(32)(picture).shape == (3, 32, 32)


def test_colour_by_lightness_and_two_axes():
    grey = Image.merge("LAB", [Image.new("L", (40, 40), value) for value in (137, 128, 128)])
    assert (Preparation(32)(grey).int() - 128).abs().max() < 6


def test_of_several_pages_or_frames_the_first_is_taken(top):
    fill(top / "a", top / "b")
    first, second = (Image.new("RGB", (40, 40), colour) for colour in ((200, 0, 0), (0, 0, 200)))
    for name in ("#1.gif", "#2.tif", "#3.webp", "#4.png"):
        first.save(top / "a" / name, save_all=True, append_images=[second])
    domain, said = opened(top)
    assert "4 files hold several pictures" in said and (domain.images[:4, 0, 9, 9] > 190).all()


def test_a_damaged_note_of_the_camera_is_no_matter(top):
    fill(top / "a", top / "b")
    for number, note in enumerate(
        (b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01")
    ):
        noise().save(top / "a" / f"#{number}.jpg", exif=note)
        noise().save(top / "a" / f"#{number}.webp", exif=note)
    domain, said = opened(top)
    assert len(domain.labels) == 14 and said == ""


def test_very_large_scans_open(top, monkeypatch):
    fill(top / "a", top / "b")
    ramp = Image.linear_gradient("L").resize((600, 600))
    ramp.save(top / "a" / "#.png")
    ramp.save(top / "a" / "#.jpg", quality=95)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(decoding, "LARGE", 100_000)
    domain, said = opened(top)
    wanted = (torch.arange(32) * 8 + 4)[:, None].expand(3, 32, 32).float()
    assert said == "" and (domain.images[:2].float() - wanted).abs().max() < 6
    assert Image.MAX_IMAGE_PIXELS == 1000, "set back"


def test_what_no_memory_could_hold_is_named(top, monkeypatch):
    fill(top / "a", top / "b")
    noise((200, 200)).save(top / "a" / "#.png")
    monkeypatch.setattr(decoding, "LARGEST", 200 * 200 - 1)
    with pytest.raises(DataError, match="#.png .0 million pixels are too many.*skip_unreadable"):
        folder(top, 32)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff", b"GIF89a", b"II*\0"], ids=repr)
def test_files_that_are_no_pictures_are_named(top, content):
    fill(top / "a", top / "b")
    (top / "a" / "x.jpg").write_bytes(content)
    with pytest.raises(DataError, match="1 of 9 pictures .*a/x.jpg .*skip_unreadable=True"):
        folder(top, 32)
    assert len(opened(top, skip_unreadable=True)[0].labels) == 8


# ---- the disk


def test_a_full_disk_costs_speed_and_not_the_pictures(top, monkeypatch):
    import safetensors.torch

    def full(*arguments):
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    fill(top / "a", top / "b")
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.warns(UserWarning, match="not kept and will be decoded again.*No space left"):
        assert len(folder(top, 32).labels) == 8


def test_a_disk_that_vanishes_costs_speed_and_not_the_pictures(top, tmp_path, monkeypatch):
    fill(top / "a", top / "b")
    (tmp_path / "gone").touch()
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "gone"))
    with pytest.warns(UserWarning, match="not kept"):
        assert len(folder(top, 32).labels) == 8
    monkeypatch.setattr(decoding, "MOST_BYTES", 10_000)
    with pytest.warns(UserWarning, match="not kept"):
        assert len(folder(top, 32).labels) == 8
