import pytest
import torch

from methods.synthesis.codebook import COMMITMENT, Codebook


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def vectors(seed=0, shape=(2, 4, 3, 5)):
    return torch.randn(shape, generator=generator(seed))


def begun(codes=8):
    book = Codebook(codes, 4)
    book(vectors(), generator())
    return book


def test_quantising_codes_gives_them_back_and_quantising_twice_changes_nothing():
    book = begun()
    codes = book.codes.T.reshape(1, 4, 8, 1)
    assert torch.equal(book.quantise(codes), codes)
    book.codes[1] = book.codes[0] + 1e-4  # so near that matrix products would take one for the other
    assert torch.equal(book.quantise(book.codes.T[None]), book.codes.T[None])
    once = book.quantise(vectors(3))
    assert torch.equal(book.quantise(once), once)


def test_every_vector_becomes_the_nearest_code():
    book, z = begun().eval(), vectors(5)
    found, commitment = book(z)
    flat = z.movedim(1, -1).reshape(-1, 4)
    best = ((flat[:, None] - book.codes) ** 2).sum(2).argmin(1)
    expected = book.codes[best].reshape(2, 3, 5, 4).movedim(-1, 1)
    torch.testing.assert_close(found, expected)
    assert commitment.item() == pytest.approx(COMMITMENT * (z - expected).square().mean().item())


def test_gradients_pass_as_if_nothing_had_been_quantised():
    book, z = begun().eval(), vectors(2).requires_grad_()
    weight = torch.randn(z.shape)
    (book(z)[0] * weight).sum().backward()
    assert torch.equal(z.grad, weight)


def test_evaluation_leaves_all_buffers_alone_and_training_does_not():
    book = begun()
    before = {name: value.clone() for name, value in book.state_dict().items()}
    book.eval()(vectors(1))
    book.quantise(vectors(1))
    assert all(torch.equal(value, before[name]) for name, value in book.state_dict().items())
    book.train()(vectors(1), generator())
    assert not torch.equal(book.codes, before["codes"])


def test_codes_follow_the_mean_of_what_they_stand_for():
    book = Codebook(2, 1)
    book.codes.copy_(torch.tensor([[-1.0], [1.0]]))
    book.sums.copy_(10 * book.codes)
    book.counts.fill_(10.0)
    book.begun.fill_(True)
    z = torch.tensor([-2.0] * 10 + [3.0] * 10).reshape(1, 1, 20)
    for _ in range(500):
        book(z, generator())
    torch.testing.assert_close(book.codes, torch.tensor([[-2.0], [3.0]]), atol=0.05, rtol=0)
    torch.testing.assert_close(book.counts, torch.tensor([10.0, 10.0]), atol=1e-3, rtol=0)


def test_a_code_that_nothing_uses_is_restarted_where_vectors_are():
    book, z = begun(), vectors(7)
    book.codes[0] = book.sums[0] = 100.0  # far from everything
    book.counts[0] = 1.0
    book(z, generator())
    flat = z.movedim(1, -1).reshape(-1, 4)
    assert (book.codes[0] == flat).all(1).any() and book.counts[0] == 1
    assert (book.nearest(flat) == 0).any()


def test_the_first_batch_gives_the_codes_however_few_its_vectors():
    book = Codebook(64, 4)
    z = vectors(0, (1, 4, 2, 2))
    book(z, generator())
    flat = z.movedim(1, -1).reshape(-1, 4)
    assert (book.codes[:, None] - flat).abs().amax(2).amin(1).max() < 1e-5


def test_draws_are_those_of_the_generator():
    one, other, third = Codebook(8, 4), Codebook(8, 4), Codebook(8, 4)
    for book, seed in ((one, 1), (other, 1), (third, 2)):
        book(vectors(), generator(seed))
    assert torch.equal(one.codes, other.codes) and not torch.equal(one.codes, third.codes)
