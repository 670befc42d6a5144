import numpy as np
from matplotlib.colors import to_rgb

from reports.numbers.curves import Variant
from reports.paper import overlays, style


def test_missed_added_confused_and_correct_pixels_get_their_colours():
    image = np.zeros((1, 1, 5), np.uint8)
    picture = overlays.overlay(image, np.array([[1, 0, 1, 1, 0]]), np.array([[0, 1, 2, 1, 0]]))

    def nearest(pixel):
        names = {"missed": overlays.MISSED, "added": overlays.ADDED, "confused": overlays.CONFUSED,
                 "correct": overlays.CORRECT[0]}  # fmt: skip
        return min(names, key=lambda name: np.abs(np.array(to_rgb(names[name])) - pixel).sum())

    assert [nearest(pixel) for pixel in picture[0, :4]] == ["missed", "added", "confused", "correct"]
    assert np.ptp(picture[0, 4]) == 0
    assert picture.min() >= 0 and picture.max() <= 1


def test_missed_is_dark_red_and_added_light_red():
    missed, added = np.array(to_rgb(overlays.MISSED)), np.array(to_rgb(overlays.ADDED))
    assert missed[0] > missed[1:].max() and added[0] > added[1:].max()
    assert missed.mean() < 0.3 < 0.6 < added.mean()


def test_no_two_methods_look_alike():
    looks = list(style.LOOKS.values()) + list(style.OTHERS)
    assert len({look.color for look in looks}) == len(looks)
    assert len({(look.marker, str(look.line)) for look in looks}) == len(looks)


def test_a_method_keeps_its_look_whoever_else_is_there():
    ldseg, resunet = Variant("ldseg", "LDSeg", 2, "ddim"), Variant("resunet", "Res-UNet")
    more = Variant("ldseg", "LDSeg", 10, "ddim")
    assert style.looks([ldseg])[ldseg] == style.looks([resunet, ldseg, more])[ldseg]
    looks = style.looks([ldseg, more, Variant("own", "Own")])
    assert len({(look.color, look.line, look.filled) for look in looks.values()}) == 3
