import numpy as np
import pytest

from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.uv_check import check_uv
from neuraltex.geometry.uv_quality import measure_uv

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def square(uvs, uv_faces=FACES):
    return Mesh(SQUARE, FACES, np.asarray(uvs, float), uv_faces)


def test_a_square_filling_the_texture_is_clean():
    report = check_uv(square(SQUARE[:, :2]))
    assert report.clean
    assert "no faults" in str(report)


def test_shared_edges_never_count_as_overlap_under_any_rotation():
    for angle in np.linspace(0, np.pi, 13):
        c, s = np.cos(angle), np.sin(angle)
        uvs = (SQUARE[:, :2] - 0.5) @ np.array([[c, s], [-s, c]]) * 0.6 + 0.5
        assert check_uv(square(uvs), resolution=512).clean


def test_overlap_counts_both_faces():
    uvs = [[0, 0], [1, 0], [0, 1], [0.1, 0.1], [0.9, 0.1], [0.1, 0.6]]
    report = check_uv(square(uvs, np.arange(6).reshape(2, 3)))
    assert report.overlaps == 2
    assert not report.clean


def test_outside_and_not_finite():
    assert check_uv(square(SQUARE[:, :2] * 1.5)).outside == 2
    assert check_uv(square(SQUARE[:, :2] * [1, np.nan])).outside == 2
    assert check_uv(square(SQUARE[:, :2] * (1 + 1e-9))).outside == 0


def test_mirrored_faces_are_flipped():
    assert check_uv(square(SQUARE[:, [1, 0]])).flipped == 2


def test_faces_without_uv_area():
    report = check_uv(square([[0, 0], [1, 0], [1, 1], [0.5, 0.5]]))
    assert report.zero_area == 1
    flat = Mesh(SQUARE[[0, 1, 1, 1]], FACES, np.zeros((4, 2)), FACES)
    assert check_uv(flat).zero_area == 0  # these have no area on the surface either


def test_without_uv_is_an_error():
    with pytest.raises(DataError, match="no texture coordinates"):
        check_uv(Mesh(SQUARE, FACES))


def test_quality_of_an_isometric_square():
    quality = measure_uv(square(SQUARE[:, :2] / 2), 1024)
    assert quality.charts == 1
    assert quality.utilization == pytest.approx(0.25)
    assert quality.density == pytest.approx(512)
    assert quality.stretch == pytest.approx(1)


def test_stretch_of_a_squeezed_square():
    # Singular values of the map back are 1 and 4 over sqrt(area ratio 4): sqrt((1 + 16) / 2 / 4).
    assert measure_uv(square(SQUARE[:, :2] * [1, 0.25]), 64).stretch == pytest.approx(np.sqrt(17 / 8))
