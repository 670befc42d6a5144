from itertools import combinations, product

import pytest
import torch
from monai.networks.nets import DynUNet
from torch.nn import functional as F

from methods.base import Sampling
from methods.nnunet import BASE_WIDTHS, NNUNet, dice_loss, mirrored, topology, z_score


def build(size="tiny", in_channels=3, classes=2, image_size=(32, 32), **more):
    torch.manual_seed(0)
    return NNUNet(len(image_size), in_channels, classes, image_size, size, **more)


def count(model):
    return sum(p.numel() for p in model.parameters())


# ---- configuration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_size", "poolings"),
    [
        ((512, 512), (7, 7)), ((512, 768), (7, 7)), ((256, 256), (6, 6)), ((128, 128), (5, 5)), ((96, 96), (4, 4)),
        ((64, 96), (4, 4)), ((64, 64), (4, 4)), ((32, 32), (3, 3)), ((32, 128), (3, 4)), ((16, 128), (2, 4)),
        ((8, 64), (1, 3)), ((128, 128, 128), (5, 5, 5)), ((32, 32, 64), (3, 3, 3)),
        ((48, 64, 48), (3, 3, 3)), ((128, 128, 256), (5, 5, 5)),
    ],
)  # fmt: skip
def test_poolings_are_those_the_package_plans(image_size, poolings):
    # nnunetv2 2.8.1: get_pool_and_conv_props((1, ...), image_size, 4, 999999)[0]
    found = topology(image_size)
    assert found.poolings == poolings
    assert found.strides[0] == (1,) * len(image_size)


def test_an_axis_that_became_coarser_waits_for_the_others():
    assert topology((32, 128)).strides == ((1, 1), (2, 2), (2, 2), (2, 2), (1, 2))


def test_poolings_of_any_size_are_those_of_the_package():
    planner = pytest.importorskip("nnunetv2.experiment_planning.experiment_planners.network_topology")
    for image_size in [(a, b) for a in range(4, 600, 13) for b in range(4, 900, 17)]:
        poolings, strides, *_ = planner.get_pool_and_conv_props((1, 1), image_size, 4, 999999)
        assert topology(image_size) == (tuple(poolings), tuple(strides)), image_size


def test_poolings_of_any_volume_are_those_of_the_package():
    planner = pytest.importorskip("nnunetv2.experiment_planning.experiment_planners.network_topology")
    edges = [*range(4, 65, 5), 32, 48, 64, 96, 128, 160, 192, 256, 320]
    for image_size in product(edges, repeat=3):
        poolings, strides, kernels, *_ = planner.get_pool_and_conv_props((1, 1, 1), image_size, 4, 999999)
        assert topology(image_size) == (tuple(poolings), tuple(strides)), image_size
        assert {tuple(kernel) for kernel in kernels} == {(3, 3, 3)}, image_size


@pytest.mark.parametrize(
    ("size", "image_size", "widths"),
    [
        ("paper", (512, 512), (32, 64, 128, 256, 512, 512, 512, 512)),
        ("paper", (128, 128, 128), (32, 64, 128, 256, 320, 320)),
        ("small", (48, 64, 48), (16, 32, 64, 128)),
        ("small", (128, 128), (16, 32, 64, 128, 256, 256)),
        ("tiny", (32, 32), (8, 16, 32, 64)),
    ],
)
def test_widths_double_up_to_a_bound(size, image_size, widths):
    assert build(size, image_size=image_size).widths == widths


@pytest.mark.parametrize(
    ("size", "side", "ours", "theirs"),
    [
        ("tiny", 32, 121_220, 121_638),
        ("small", 128, 5_156_616, 5_159_626),
        ("paper", 128, 20_613_640, 20_619_658),
        ("paper", 512, 46_315_020, 46_325_134),
    ],
)
def test_parameters_are_those_of_the_package_but_for_biases_and_a_head_without_effect(size, side, ours, theirs):
    # theirs: PlainConvUNet of dynamic_network_architectures 0.4.4 with the plan of that size, colour, two classes
    model = build(size, image_size=(side, side))
    assert count(model) == ours
    biases_before_normalisation = 2 * sum(model.widths) + 2 * sum(model.widths[:-1])
    lowest_head = 2 * (model.widths[-2] + 1)
    assert theirs == ours + biases_before_normalisation + lowest_head


@pytest.mark.parametrize(
    ("size", "image_size", "ours", "theirs"),
    [
        ("tiny", (32, 32, 32), 350_878, 351_329),
        ("small", (48, 64, 48), 1_401_398, 1_402_297),
        ("paper", (128, 128, 256), 31_191_596, 31_196_399),
    ],
)
def test_parameters_in_3d_are_those_of_the_package_but_for_the_same(size, image_size, ours, theirs):
    # theirs: as above, grey, three classes
    with torch.device("meta"):
        model = build(size, 1, 3, image_size)
    assert count(model) == ours
    biases_before_normalisation = 2 * sum(model.widths) + 2 * sum(model.widths[:-1])
    lowest_head = 3 * (model.widths[-2] + 1)
    assert theirs == ours + biases_before_normalisation + lowest_head


@pytest.mark.parametrize("image_size", [(36, 32), (33, 32), (32, 32, 33), (14, 14), (8, 8)])
def test_an_image_size_that_does_not_fit_is_refused(image_size):
    with pytest.raises(ValueError, match=rf"image_size is \({image_size[0]}, {image_size[1]}.*image_size"):
        build(image_size=image_size)


# ---- network -------------------------------------------------------------------------------------------------------


def test_there_are_logits_for_all_but_the_two_lowest_resolutions():
    model = build(classes=4, image_size=(32, 128))
    shapes = [tuple(logits.shape) for logits in model.network(torch.randn(2, 3, 32, 128))]
    assert shapes == [(2, 4, 32, 128), (2, 4, 16, 64), (2, 4, 8, 32)]


@pytest.mark.parametrize("image_size", [(64, 64), (32, 128), (16, 16, 32)])
def test_the_network_computes_what_monais_dynunet_does(image_size):
    model = build(in_channels=2, classes=3, image_size=image_size).double()
    strides, heads = model.topology.strides, len(model.network.heads)
    dims = len(image_size)
    other = DynUNet(
        dims, 2, 3, [3] * len(strides), strides, strides[1:], filters=model.widths, trans_bias=True,
        deep_supervision=True, deep_supr_num=max(heads - 1, 1),
    ).double()  # fmt: skip
    randomise(model)
    ours = model.network
    blocks = [other.input_block, *other.downsamples, other.bottleneck]
    with torch.no_grad():
        for stage, block in zip(ours.encoder, blocks, strict=True):
            copy_stage(stage, (block.conv1.conv, block.norm1, block.conv2.conv, block.norm2))
        for level, block in enumerate(reversed(other.upsamples)):
            block.transp_conv.conv.load_state_dict(ours.up[level].state_dict())
            inner = block.conv_block
            copy_stage(ours.decoder[level], (inner.conv1.conv, inner.norm1, inner.conv2.conv, inner.norm2))
        for head, block in zip(ours.heads, [other.output_block, *other.deep_supervision_heads]):
            block.conv.conv.load_state_dict(head.state_dict())
        x = torch.randn(2, 2, *image_size, dtype=torch.float64)
        expected = [other.eval()(x), *other.heads]
        for found, wanted in zip(ours(x), expected):
            torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize("image_size", [(64, 64), (32, 128), (16, 16, 32)])
def test_the_network_computes_what_the_packages_does(image_size):
    package = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    model = build(in_channels=2, classes=3, image_size=image_size).double()
    dims, stages = len(image_size), len(model.widths)
    other = package.PlainConvUNet(
        2, stages, model.widths, {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[dims], 3, model.topology.strides,
        [2] * stages, 3, [2] * (stages - 1), True, {2: torch.nn.InstanceNorm2d, 3: torch.nn.InstanceNorm3d}[dims],
        {"eps": 1e-5, "affine": True}, None, None, torch.nn.LeakyReLU, {"inplace": True}, deep_supervision=True,
    ).double()  # fmt: skip
    randomise(model)
    ours, decoder = model.network, other.decoder
    with torch.no_grad():
        for mine, theirs in [
            *zip(ours.encoder, (stage[0] for stage in other.encoder.stages), strict=True),
            *zip(ours.decoder, reversed(decoder.stages), strict=True),
        ]:
            first, second = theirs.convs
            copy_stage(mine, (first.conv, first.norm, second.conv, second.norm))
        for mine, theirs in zip([*ours.up, *ours.heads], [*decoder.transpconvs[::-1], *decoder.seg_layers[:0:-1]]):
            theirs.load_state_dict(mine.state_dict())
        x = torch.randn(2, 2, *image_size, dtype=torch.float64)
        *used, _ = other(x)
        for found, wanted in zip(ours(x), used, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


def randomise(model):
    """No parameter at its neutral start, so that one in the wrong place is noticed."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)


def copy_stage(stage, layers):
    """Parameters of one of our stages into (conv, norm, conv, norm); biases that a norm removes stay as they are."""
    for ours, theirs in zip((stage[0], stage[1], stage[3], stage[4]), layers, strict=True):
        theirs.load_state_dict(ours.state_dict(), strict=isinstance(theirs, torch.nn.modules.instancenorm._NormBase))


# ---- loss ----------------------------------------------------------------------------------------------------------


def test_every_resolution_counts_half_of_the_one_above_it():
    model = build(classes=3, image_size=(64, 64), mirroring=False).double()
    image, label = torch.rand(2, 3, 64, 64).double(), torch.randint(3, (2, 64, 64))
    with torch.no_grad():
        losses = model.loss(image, label, "train", torch.Generator())
        levels = model.network(z_score(image))
    assert len(levels) == 3
    ce = dice = 0.0
    for level, logits in enumerate(levels):
        # nearest-exact takes the voxel at the centre of each block, of the two in the middle the later one
        step = 2**level
        low = label[:, step // 2 :: step, step // 2 :: step]
        p = logits.softmax(1)
        scores = []
        for k in (1, 2):
            y = (low == k).double()
            scores.append((2 * (p[:, k] * y).sum() + 1e-5) / (p[:, k].sum() + y.sum() + 1e-5))
        weight = 0.5**level / (1 + 0.5 + 0.25)
        ce, dice = ce + weight * F.cross_entropy(logits, low), dice + weight * (1 - sum(scores) / 2)
    torch.testing.assert_close(losses["ce"], ce)
    torch.testing.assert_close(losses["dice"], dice)
    torch.testing.assert_close(losses["total"], ce + dice)


@pytest.mark.parametrize("image_size", [(32, 32), (16, 16, 16)])
def test_the_loss_is_the_packages_plus_one(image_size):
    compound = pytest.importorskip("nnunetv2.training.loss.compound_losses")
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    settings = {"batch_dice": len(image_size) == 2, "smooth": 1e-5, "do_bg": False, "ddp": False}
    theirs = compound.DC_and_CE_loss(settings, {}, dice_class=MemoryEfficientSoftDiceLoss)
    model = build(classes=4, image_size=image_size, mirroring=False)
    image, label = torch.rand(3, 3, *image_size), torch.randint(4, (3, *image_size))
    with torch.no_grad():
        found = model.loss(image, label, "train", torch.Generator())["total"]
        expected = weights = 0.0
        for level, logits in enumerate(model.network(z_score(image))):
            low = F.interpolate(label[:, None].float(), logits.shape[2:], mode="nearest-exact")
            expected, weights = expected + 0.5**level * theirs(logits, low), weights + 0.5**level
    torch.testing.assert_close(found, expected / weights + 1)


def test_dice_sums_over_the_batch_in_2d_and_over_each_sample_in_3d():
    # of two samples one is all foreground and found, the other has none and is all taken for foreground
    p = torch.zeros(2, 2, 4, 4)
    p[:, 1] = 1
    y = torch.zeros(2, 2, 4, 4)
    y[0, 1], y[1, 0] = 1, 1
    assert dice_loss(p, y) == pytest.approx(1 - 2 * 16 / (32 + 16), abs=1e-4)
    assert dice_loss(p[..., None], y[..., None]) == pytest.approx(1 - (1 + 0) / 2, abs=1e-4)


def test_a_class_that_is_neither_there_nor_predicted_counts_as_found():
    p, y = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    assert dice_loss(p, y) == pytest.approx(0)


# ---- images --------------------------------------------------------------------------------------------------------


def test_every_channel_of_every_image_is_z_scored():
    image = torch.rand(2, 3, 16, 16) * torch.tensor([1.0, 0.1, 0.5])[:, None, None] + 0.2
    image[1, 2] = 0.3
    scored = z_score(image)
    std, mean = torch.std_mean(scored, dim=(2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(std, torch.tensor([[1.0, 1, 1], [1, 1, 0]]), atol=1e-4, rtol=0)
    assert not scored[1, 2].any()
    assert not z_score(torch.full((1, 1, 8, 8), 0.3)).any()


@pytest.mark.parametrize("mirroring", [True, False])
@pytest.mark.parametrize("image_size", [(32, 32), (16, 16, 16)])
def test_a_mirrored_image_gets_the_mirrored_segmentation_where_mirror_images_are_averaged(mirroring, image_size):
    model = build(mirroring=mirroring, image_size=image_size).eval()
    randomise(model)
    image = torch.rand(1, 3, *image_size)
    axes = range(2, image.ndim)
    with torch.no_grad():
        plain = model.segment(image, Sampling(), [])
        worst = max(
            (model.segment(image.flip(some), Sampling(), []).flip(some) - plain).abs().max()
            for count in axes
            for some in combinations(axes, count - 1)
        )
    assert worst < 1e-4 if mirroring else worst > 0.01


@pytest.mark.parametrize(("image_size", "evaluations"), [((32, 32), 4), ((16, 16, 16), 8)])
def test_every_mirror_image_is_one_evaluation_of_the_network(image_size, evaluations):
    calls = []
    for mirroring, expected in ((True, evaluations), (False, 1)):
        model = build(image_size=image_size, mirroring=mirroring).eval()
        model.network.register_forward_hook(lambda *_: calls.append(1))
        calls.clear()
        with torch.no_grad():
            probabilities = model.segment(torch.rand(2, 3, *image_size), Sampling(), [])
        assert len(calls) == expected == model.network_evaluations(Sampling())
        torch.testing.assert_close(probabilities.sum(1), torch.ones(2, *image_size))


def test_images_and_labels_are_mirrored_alike_and_in_every_way():
    label = torch.arange(16).reshape(1, 4, 4).repeat(64, 1, 1)
    image = label[:, None].float()
    got_image, got_label = mirrored(image, label, torch.Generator().manual_seed(0))
    assert torch.equal(got_image[:, 0].long(), got_label)
    ways = {tuple(row.flatten().tolist()) for row in got_label}
    whole = label[0]
    assert ways == {tuple(whole.flip(axes).flatten().tolist()) for axes in ((), (0,), (1,), (0, 1))}


def test_volumes_are_mirrored_in_all_eight_ways():
    label = torch.arange(8).reshape(1, 2, 2, 2).repeat(128, 1, 1, 1)
    got_image, got_label = mirrored(label[:, None].float(), label, torch.Generator().manual_seed(0))
    assert torch.equal(got_image[:, 0].long(), got_label)
    assert len({tuple(row.flatten().tolist()) for row in got_label}) == 8


def test_training_shows_mirrored_images_as_the_generator_decides():
    model = build().eval()
    image, label = torch.rand(2, 3, 32, 32), torch.randint(2, (2, 32, 32))
    with torch.no_grad():
        a, b, c = (model.loss(image, label, "train", torch.Generator().manual_seed(s))["total"] for s in (0, 0, 1))
    assert a == b and a != c


def test_sizes_differ_in_width_alone():
    assert {build(size, image_size=(64, 64)).topology for size in BASE_WIDTHS} == {topology((64, 64))}
