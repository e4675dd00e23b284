from dataclasses import replace

import numpy as np
import pytest
import rasterio
from makers import HERE, POLAND, make_indices, make_picture
from rasterio.crs import CRS
from rio_cogeo import cog_validate

from sattrans.errors import OptionError, OutputExists, RasterError
from sattrans.raster.cog.options import KNOWN, parse_creation_options
from sattrans.raster.cog.output import GeoTiffOutput
from sattrans.raster.cog.writer import Layout, row_writer
from sattrans.raster.georeference import Georeference

PLACE = Georeference.of(CRS.from_user_input(POLAND), HERE)
PICTURE = make_picture(make_indices(1100, 700, 4))
LAYOUT = Layout(1100, 700, 3, PLACE, tags={"SATTRANS_RUN": "r"})


def output_of(path, creation, overwrite=False):
    return GeoTiffOutput(path, {"a": 1}, creation=creation, overwrite=overwrite)


def write(output, *texts, overwrite=False):
    with row_writer(output_of(output, parse_creation_options(texts), overwrite), LAYOUT) as writer:
        for piece in writer.missing():
            writer.write(piece, PICTURE[:, *piece.slices])
    valid, errors, warnings = cog_validate(output, quiet=True)
    assert valid and not errors and not warnings, (errors, warnings)
    return output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("texts", "compression"),
    [
        ((), "zstd"),
        (("COMPRESS=DEFLATE", "LEVEL=9"), "deflate"),
        (("compress=lzw", "predictor=no"), "lzw"),
        (("COMPRESS=NONE",), None),
        (("COMPRESS=LZMA",), "lzma"),
        (("COMPRESS=LERC_ZSTD",), "lerc_zstd"),
        (("BLOCKSIZE=256",), "zstd"),
        (("LEVEL=3", "BIGTIFF=YES", "OVERVIEW_RESAMPLING=MODE"), "zstd"),
    ],
)
def test_any_encoding_without_loss_gives_the_pixels_back(tmp_path, texts, compression):
    with rasterio.open(write(tmp_path / "out.tif", *texts)) as src:
        assert np.array_equal(src.read(), PICTURE)
        assert (src.compression.name.lower() if src.compression else None) == compression
        assert src.overviews(1)[:1] == [2]
        assert src.tags()["SATTRANS_RUN"] == "r"
        assert (src.crs, src.transform) == (CRS.from_user_input(POLAND), HERE)
        assert set(src.block_shapes) == {(256, 256) if "BLOCKSIZE=256" in texts else (512, 512)}
    big = b"II+\0" if "BIGTIFF=YES" in texts else b"II*\0"
    assert (tmp_path / "out.tif").read_bytes()[:4] == big


@pytest.mark.parametrize("compression", ["JPEG", "WEBP"])
def test_a_lossy_encoding_is_small_and_near(tmp_path, compression):
    whole = write(tmp_path / "whole.tif").stat().st_size
    output = write(tmp_path / "out.tif", f"COMPRESS={compression}", "QUALITY=90")
    assert output.stat().st_size < whole / 2
    with rasterio.open(output) as src:
        assert np.abs(src.read().astype(int) - PICTURE).mean() < 4
        assert src.compression.name.lower() == compression.lower()
        assert "SATTRANS_OPTIONS" in src.tags()


@pytest.mark.slow
@pytest.mark.parametrize("texts", [(), ("BIGTIFF=YES",), ("COMPRESS=NONE",), ("COMPRESS=JPEG",), ("BLOCKSIZE=256",)])
@pytest.mark.parametrize("layout", [LAYOUT, replace(LAYOUT, alpha=True)])
def test_an_output_that_lacks_its_last_byte_is_not_finished(tmp_path, texts, layout):
    creation = parse_creation_options(texts)
    pixels = np.concatenate([PICTURE, PICTURE[:1]])[: layout.bands]
    with row_writer(output_of(tmp_path / "out.tif", creation), layout) as writer:
        for piece in writer.missing():
            writer.write(piece, pixels[:, *piece.slices])
    assert output_of(tmp_path / "out.tif", creation).is_finished()
    whole = (tmp_path / "out.tif").read_bytes()
    for length in (len(whole) - 1, len(whole) // 2):
        (tmp_path / "out.tif").write_bytes(whole[:length])
        with pytest.raises(RasterError, match="is damaged, its end is missing; delete it, or replace"):
            output_of(tmp_path / "out.tif", creation).is_finished()
    for length in (0, 3, 9, 300, 900):  # what made it may not be read any more
        (tmp_path / "out.tif").write_bytes(whole[:length])
        with pytest.raises((OutputExists, RasterError), match="is damaged, .*--overwrite"):
            output_of(tmp_path / "out.tif", creation).is_finished()


def test_overviews_are_made_as_asked(tmp_path):
    def half(*texts):
        with rasterio.open(write(tmp_path / "o.tif", *texts, overwrite=True), overview_level=0) as src:
            return src.read()

    mean = PICTURE.reshape(3, 550, 2, 350, 2).mean((2, 4))
    assert np.abs(half() - mean).max() <= 1
    assert np.array_equal(half("OVERVIEW_RESAMPLING=NEAREST"), PICTURE[:, ::2, ::2])
    # What we cannot do, GDAL does.
    assert half("OVERVIEW_RESAMPLING=CUBIC").shape == (3, 550, 350)


def test_the_encoding_is_a_part_of_what_made_an_output(tmp_path):
    output = write(tmp_path / "out.tif", "COMPRESS=DEFLATE")
    assert output_of(output, parse_creation_options(["compress=deflate"])).is_finished()
    for other in ((), ("COMPRESS=LZW",)):
        with pytest.raises(OutputExists, match="co: "):
            output_of(output, parse_creation_options(other)).is_finished()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["COMPRESS"], "give NAME=VALUE"),
        (["COMPRESS="], "give NAME=VALUE"),
        (["COMPRES=ZSTD"], "unknown option COMPRES of a COG; did you mean 'COMPRESS'"),
        (["COMPRESS=ZIP"], "COMPRESS must be one of ZSTD, DEFLATE"),
        (["LEVEL=fast"], "LEVEL must be a number"),
        (["LEVEL=23"], "ZSTD has levels 1 to 22"),
        (["COMPRESS=DEFLATE", "LEVEL=22"], "DEFLATE has levels 1 to 12"),
        (["COMPRESS=JPEG", "QUALITY=101"], "QUALITY=101: give 1 to 100"),
        (["BLOCKSIZE=500"], "BLOCKSIZE=500: give a multiple of 16"),
        (["COMPRESS=LZW", "COMPRESS=ZSTD"], "given twice: LZW and ZSTD"),
        (["TARGET_SRS=EPSG:3857"], "unknown option TARGET_SRS"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_words(texts, message):
    with pytest.raises(OptionError, match=message):
        parse_creation_options(texts)


@pytest.mark.slow
def test_every_option_that_is_known_is_known_to_gdal(tmp_path, caplog):
    sensible = {"BLOCKSIZE": "512", "LEVEL": "3", "OVERVIEW_COUNT": "1", "MAX_Z_ERROR": "0"}
    for name, values in KNOWN.items():
        value = sensible.get(name, values.split("|")[0].replace("\\d+", "80"))
        write(tmp_path / f"{name}.tif", f"{name}={value}", *(["ADD_ALPHA=NO"] if name != "ADD_ALPHA" else []))
    assert not [record.message for record in caplog.records if "does not support" in record.message]
