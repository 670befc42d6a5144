"""What every method that makes images from label maps must do. Your own:
pytest tests/contract --synthesizer my_package.MySynthesizer"""

import copy
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from methods.synthesis.base import LabelMapError, Synthesizer

SIDE = 32
SMALL_SIDE = 16
"""Of volumes, where the method takes such small ones."""
CLASSES = 3
DATA = [(2, 3), (2, 1), (3, 1)]
"""(spatial_dims, channels): colour images, grey ones and volumes."""
COUNT = 4
STEPS = 3
TRAINED_STEPS = 3


def pictures(count, channels, spatial, seed=0):
    """Images in [0, 1] with a ball per foreground class in a round field, black outside, and their labels."""
    random = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*[torch.arange(n) / n for n in spatial], indexing="ij")
    label = torch.zeros(count, *spatial, dtype=torch.int64)
    for b in range(count):
        for k in range(1, CLASSES):
            centre = 0.35 + 0.3 * torch.rand(len(spatial), generator=random)
            distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)).sqrt()
            label[b][distance < 0.12 + 0.05 * torch.rand((), generator=random)] = k
    colours = torch.linspace(0.3, 0.9, CLASSES)[:, None].repeat(1, channels)
    image = colours[label].movedim(-1, 1)
    image = (image + 0.03 * torch.randn(image.shape, generator=random)).clamp(0.05, 1)
    return image * (sum((axis - 0.5) ** 2 for axis in axes) < 0.45**2), label


def generators(count, seed=0):
    return [torch.Generator().manual_seed(1000 * seed + i) for i in range(count)]


def build(synthesizer, dims, channels, seed=0):
    reason = synthesizer.cls.supports(dims, CLASSES, **synthesizer.arguments)
    if reason:
        pytest.skip(f"declined: {reason}")
    sides = [SIDE] if dims == 2 else [SMALL_SIDE, SIDE]
    for side in sides:
        torch.manual_seed(seed)
        try:
            return synthesizer.build(
                spatial_dims=dims, in_channels=channels, classes=CLASSES, image_size=(side,) * dims
            )
        except ValueError as error:
            if side == sides[-1] or "image_size" not in str(error):
                raise


def any_model(synthesizer):
    for dims, channels in DATA:
        if synthesizer.cls.supports(dims, CLASSES, **synthesizer.arguments) is None:
            return build(synthesizer, dims, channels)
    pytest.fail("the method takes neither images nor volumes")


def train(synthesizer, model, image, label, steps):
    """The total losses of `steps` steps in every stage that learns something, with the method's own optimiser."""
    totals = {}
    for stage in model.stages:
        model.eval()
        model.prepare_stage(stage, [(image[:2], label[:2]), (image[2:], label[2:])])
        model.train()
        if not any(group["params"] for group in model.parameter_groups(stage)):
            continue
        optimizer = synthesizer.optimizer(model, stage)
        totals[stage] = []
        for step in range(steps):
            torch.manual_seed(step)
            total = model.loss(image, label, stage, torch.Generator().manual_seed(step))["total"]
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            totals[stage].append(total.item())
    return totals


def synthesize(model, label_map, steps=STEPS, seed=0):
    with torch.inference_mode():
        return model.eval().synthesize(label_map, generators(len(label_map), seed), steps)


@pytest.fixture(scope="module", params=DATA, ids=lambda p: f"{p[0]}d-{p[1]}channels")
def data(request):
    return request.param


TRAINED = {}
"""By method and data: pytest takes each test's parameter for another one and would train again for each."""


@pytest.fixture(scope="module")
def trained(synthesizer, data):
    """The method after a few steps in every stage, with what it was trained on."""
    if (synthesizer.name, data) not in TRAINED:
        model = build(synthesizer, *data)
        image, label = pictures(COUNT, data[1], model.image_size)
        train(synthesizer, model, image, label, TRAINED_STEPS)
        maps = model.condition(image, label)
        TRAINED[synthesizer.name, data] = SimpleNamespace(model=model, image=image, label=label, maps=maps)
    return TRAINED[synthesizer.name, data]


def test_it_is_a_synthesizer_with_named_stages(synthesizer):
    assert issubclass(synthesizer.cls, Synthesizer)
    model = any_model(synthesizer)
    assert model.stages and all(isinstance(stage, str) and stage for stage in model.stages)
    assert len(set(model.stages)) == len(model.stages)
    assert 0 <= model.ema_decay < 1


def test_supports_gives_none_or_the_reason(synthesizer):
    for dims in (2, 3):
        for classes in (2, 3, 10):
            reason = synthesizer.cls.supports(dims, classes, **synthesizer.arguments)
            assert reason is None or (isinstance(reason, str) and len(reason) > 10)


def test_images_have_the_size_of_the_map_the_channels_of_the_data_and_the_stated_range(trained, data):
    images = synthesize(trained.model, trained.maps)
    assert images.shape == trained.image.shape and images.dtype == torch.float32
    assert torch.isfinite(images).all() and images.min() >= -1 and images.max() <= 1


def test_maps_without_the_code_outside_the_field_are_fit_too(trained):
    assert synthesize(trained.model, trained.label).shape == trained.image.shape


def test_the_maps_of_images_bear_their_labels(trained):
    assert trained.maps.dtype == torch.int64
    assert 0 <= trained.maps.min() and trained.maps.max() < trained.model.codes
    assert torch.equal(trained.model.labels(trained.maps), trained.label)
    if trained.model.field:
        assert (trained.maps.flatten(1)[:, 0] == trained.model.classes).all()  # a corner


def test_losses_are_finite_scalars_with_a_total(trained):
    model = copy.deepcopy(trained.model).train()
    for stage in model.stages:
        if not any(group["params"] for group in model.parameter_groups(stage)):
            continue
        for training in (True, False):
            random = torch.Generator().manual_seed(0)
            with torch.set_grad_enabled(training):
                found = model.train(training).loss(trained.image, trained.label, stage, random)
            assert "total" in found and found["total"].requires_grad == training
            assert all(value.shape == () and torch.isfinite(value) for value in found.values())


def test_validation_changes_neither_weights_nor_buffers(trained):
    model = copy.deepcopy(trained.model).eval()
    for stage in model.stages:
        if any(group["params"] for group in model.parameter_groups(stage)):
            with torch.no_grad():
                model.loss(trained.image, trained.label, stage, torch.Generator().manual_seed(0))
    assert_equal_states(model, trained.model)


def test_making_images_leaves_weights_and_maps_alone(trained):
    model, maps = copy.deepcopy(trained.model), trained.maps.clone()
    synthesize(trained.model, trained.maps)
    assert_equal_states(model, trained.model)
    assert torch.equal(maps, trained.maps)


def assert_equal_states(one, other):
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_stage_trains_its_own_parameters_and_leaves_the_others_alone(synthesizer, data):
    model = build(synthesizer, *data)
    image, label = pictures(COUNT, data[1], model.image_size)
    for stage in model.stages:
        mine = {id(p) for group in model.parameter_groups(stage) for p in group["params"]}
        before = {name: p.detach().clone() for name, p in model.named_parameters() if id(p) not in mine}
        model.eval()
        model.prepare_stage(stage, [(image, label)])
        if mine:
            optimizer = synthesizer.optimizer(model.train(), stage)
            model.loss(image, label, stage, torch.Generator().manual_seed(0))["total"].backward()
            optimizer.step()
            assert any(p.grad is not None and p.grad.any() for p in model.parameters() if id(p) in mine)
            model.zero_grad()
        for name, value in before.items():
            assert torch.equal(dict(model.named_parameters())[name], value), name
    held = {id(p) for stage in model.stages for group in model.parameter_groups(stage) for p in group["params"]}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}


def test_averaged_names_submodules(synthesizer):
    model = any_model(synthesizer)
    for stage in model.stages:
        assert set(model.averaged(stage)) <= {name for name, _ in model.named_children()}


def test_the_same_seed_gives_the_same_weights_and_images(synthesizer, data, trained):
    again = build(synthesizer, *data)
    train(synthesizer, again, trained.image, trained.label, TRAINED_STEPS)
    assert_equal_states(again, trained.model)
    assert torch.equal(synthesize(again, trained.maps), synthesize(trained.model, trained.maps))


def test_only_the_generators_decide_what_is_drawn(trained):
    first = synthesize(trained.model, trained.maps)
    torch.manual_seed(12345)
    assert torch.equal(first, synthesize(trained.model, trained.maps))
    if trained.model.generative:
        assert not torch.equal(first, synthesize(trained.model, trained.maps, seed=7))


def test_an_image_does_not_depend_on_its_batch(trained):
    together = synthesize(trained.model, trained.maps)
    with torch.inference_mode():
        for order in ([0], [3], [2, 0], [3, 1, 2, 0]):
            rows = generators(COUNT)
            part = trained.model.synthesize(trained.maps[order], [rows[i] for i in order], STEPS)
            torch.testing.assert_close(part, together[order], atol=2e-4, rtol=0)


def test_saved_weights_give_identical_images(synthesizer, data, trained, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in trained.model.state_dict().items()}, path)
    loaded = build(synthesizer, *data, seed=99)
    loaded.load_state_dict(load_file(path))
    assert torch.equal(synthesize(trained.model, trained.maps), synthesize(loaded, trained.maps))
    assert loaded.describe() == trained.model.describe()


def test_it_says_what_it_is_and_its_weights_are_known_by_their_hash(synthesizer, data, trained):
    found = trained.model.describe()
    assert {"class", "parameters", "weights"} <= set(found)
    assert all(isinstance(value, (str, int, float)) for value in found.values())
    assert build(synthesizer, *data).describe()["weights"] != found["weights"]


def test_network_evaluations_are_counted(synthesizer):
    model = any_model(synthesizer)
    counts = [model.network_evaluations(steps) for steps in (2, 10, 50)]
    assert all(isinstance(count, int) and count >= 1 for count in counts)
    assert counts == sorted(counts) and (len(set(counts)) == 3) == model.generative


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda maps, codes: maps.fill_(codes), "patient7.png: holds class"),
        (lambda maps, codes: maps.fill_(-1), "patient7.png: holds class -1"),
        (lambda maps, codes: maps.zero_(), "patient7.png: is empty"),
        (lambda maps, codes: maps[..., :-1], "patient7.png: is of size"),
        (lambda maps, codes: maps.float(), "patient7.png: holds torch.float32"),
        (lambda maps, codes: maps[:0], "none was given"),
    ],
)
def test_maps_that_no_image_can_be_made_from_are_refused_by_name(synthesizer, change, message):
    model = any_model(synthesizer)
    _, label = pictures(1, 1, model.image_size)
    maps = change(label, model.codes)
    with pytest.raises(LabelMapError, match=message):
        model.synthesize(maps, generators(len(maps)), STEPS, names=["patient7.png"])


def test_another_number_of_generators_is_refused(trained):
    with pytest.raises(ValueError, match="3 generators for 4 label maps"):
        trained.model.synthesize(trained.maps, generators(3), STEPS)


@pytest.mark.parametrize("dims", [2, 3])
def test_an_awkward_image_size_works_or_is_refused_by_name(synthesizer, dims):
    reason = synthesizer.cls.supports(dims, CLASSES, **synthesizer.arguments)
    if reason:
        pytest.skip(f"declined: {reason}")
    spatial = (SIDE + 1, *[SIDE] * (dims - 1))
    try:
        model = synthesizer.build(spatial_dims=dims, in_channels=1, classes=CLASSES, image_size=spatial)
    except ValueError as error:
        assert "image_size" in str(error) and str(SIDE + 1) in str(error)
    else:
        image, label = pictures(COUNT, 1, spatial)
        train(synthesizer, model, image, label, 1)
        assert synthesize(model, label[:1]).shape == (1, 1, *spatial)
