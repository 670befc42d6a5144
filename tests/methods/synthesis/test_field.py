import torch

from methods.synthesis.field import field_of_view


def sector(side=48):
    """A fan from the top edge, with its mask."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (y > 2) & ((x - side / 2).abs() < 0.7 * y) & (y < side - 3)


def test_dark_blood_within_the_sector_belongs_to_it():
    mask = sector()
    image = 0.5 * mask[None, None].float()
    image[..., 20:32, 20:28] = 0  # a chamber without a single echo
    assert torch.equal(field_of_view(image)[0], mask)


def test_gain_and_offset_change_nothing():
    image = 0.2 + 0.6 * sector()[None, None].float()
    assert torch.equal(field_of_view(image)[0], sector())


def test_a_bright_mark_outside_is_no_field():
    image = 0.5 * sector()[None, None].float()
    image[..., 1:3, 1:3] = 1
    assert torch.equal(field_of_view(image)[0], sector())


def test_an_image_without_darkness_has_content_everywhere_and_an_empty_one_nowhere():
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.5
    image[..., 3, 3] = 0
    assert field_of_view(image).all()
    assert not field_of_view(torch.full((1, 1, 8, 8), 0.3)).any()


def test_volumes_have_one_too():
    image = torch.zeros(2, 1, 12, 12, 12)
    image[:, :, 3:9, 3:9, 3:9] = 0.4
    image[1, :, 5, 5, 5] = 0
    assert field_of_view(image).sum((1, 2, 3)).tolist() == [216, 216]
