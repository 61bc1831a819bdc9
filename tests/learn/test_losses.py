"""The contrastive losses against plain loops, closed forms, finite differences and other people's code."""

from __future__ import annotations

import math

import pytest
import torch
from tests.loss_oracles import (
    REFERENCE_TYPES,
    TYPES,
    drawn_references,
    every_config,
    expected_terms,
    in_batch_anchors,
    loss_of,
    moco_anchors,
    queue_anchors,
    vectors,
)
from torch import Tensor
from torch.nn.functional import normalize

from supcam.learn.config import ContrastConfig
from supcam.learn.key_queue import References
from supcam.learn.losses import ContrastTerms, contrastive_loss, in_batch_loss
from supcam.learn.margin import ROUNDING_RAD

CONFIGS = list(every_config())


def numbers(terms: ContrastTerms) -> list[float]:
    return [term.item() for term in terms]


def gradient(terms: ContrastTerms, *, of: Tensor) -> Tensor:
    return torch.autograd.grad(terms.total, of, retain_graph=True)[0]


def name_of(config: ContrastConfig) -> str:
    return f"{config.method}-{config.margin_target}-{config.denominator}-{config.alpha}"


# ---- oracles: plain loops, finite differences, closed forms


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_loss_agrees_with_plain_loops(config: ContrastConfig) -> None:
    queries, keys, references = vectors(8, seed=1), vectors(8, seed=2), drawn_references()
    anchors = {
        "queue": queue_anchors(queries, keys, types=TYPES, references=references),
        "moco": moco_anchors(queries, keys, references=references),
        "in_batch": in_batch_anchors(queries, keys, types=TYPES),
    }[config.method]
    expected = expected_terms(anchors, config=config)
    assert expected[0] > 0
    assert numbers(loss_of(queries, keys, config=config)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.alpha in (0.3, "uniform")], ids=name_of)
def test_gradient_agrees_with_finite_differences(config: ContrastConfig) -> None:
    queries, keys = vectors(4, seed=1).requires_grad_(), vectors(4, seed=2).requires_grad_()

    def total(queries: Tensor, keys: Tensor) -> Tensor:
        return loss_of(queries, keys, config=config, types=[1, -1, 3, 1]).total

    assert torch.autograd.gradcheck(total, (queries, keys))


@pytest.mark.parametrize("margin", [0.0, 0.2, 1.0])
def test_own_key_at_a_known_angle_against_orthogonal_negatives(margin: float) -> None:
    axes, theta, config = torch.eye(6), 0.4, ContrastConfig(margin_rad=margin, temperature=0.2)
    own = math.cos(theta) * axes[0] + math.sin(theta) * axes[1]
    references = References(keys=axes[2:6], types=torch.tensor([1, 2, 3, 1]))
    terms = contrastive_loss(
        axes[:1], own[None], types=torch.tensor([0]), references=references, config=config
    )
    expected = math.log1p(4 * math.exp(-math.cos(theta + margin) / 0.2))
    assert numbers(terms) == pytest.approx([expected, expected, 0, 0], rel=1e-5)


@pytest.mark.parametrize(
    ("denominator", "own", "positives"),
    [
        ("others", math.log1p(2 * math.exp(-4)), math.log1p(2)),
        ("all", math.log1p(5 * math.exp(-4)), math.log(5 + math.exp(4))),
    ],
)
def test_own_key_is_the_query_and_all_others_are_orthogonal(
    denominator: str, own: float, positives: float
) -> None:
    axes = torch.eye(6)
    references = References(keys=axes[1:], types=torch.tensor([0, 0, 0, 1, 2]))
    config = ContrastConfig.model_validate(
        {"denominator": denominator, "margin_target": "none", "alpha": 0.25, "temperature": 0.25}
    )
    terms = contrastive_loss(
        axes[:1], axes[:1], types=torch.tensor([0]), references=references, config=config
    )
    assert numbers(terms) == pytest.approx([0.25 * own + 0.75 * positives, own, positives, 3], rel=1e-5)


# ---- where query and own key meet


@pytest.mark.parametrize("theta", [0.0, 1e-8, 1e-5, 1e-3, ROUNDING_RAD, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_of_a_query_on_its_own_key_is_bounded(theta: float, dtype: torch.dtype) -> None:
    """Neither the angle's own steep slope nor rounding may blow up what a query learns."""
    margin, temperature = 0.5, 0.1
    own = normalize(torch.arange(1.0, 9.0)[None], dim=1)
    aside = normalize(torch.tensor([[1.0, -0.5, 0, 0, 0, 0, 0, 0]]), dim=1)
    query = (math.cos(theta) * own + math.sin(theta) * aside).to(dtype).requires_grad_()
    references = References(keys=own, types=torch.tensor([1]))  # of another type, as near as can be
    terms = contrastive_loss(
        query,
        own.to(dtype),
        types=torch.tensor([0]),
        references=references,
        config=ContrastConfig(margin_rad=margin, temperature=temperature),
    )
    found = gradient(terms, of=query).float()
    assert found.isfinite().all()
    assert found.norm() <= (2 * math.sin(margin) + 0.2) / temperature


def test_finite_differences_agree_where_the_tip_is_rounded() -> None:
    own = vectors(1, seed=5)
    query = normalize(own + 0.004 * vectors(1, seed=6), dim=1).requires_grad_()
    references = drawn_references()

    def total(query: Tensor) -> Tensor:
        return loss_of(query, own, config=ContrastConfig(), types=[0], references=references).total

    assert torch.autograd.gradcheck(total, query)


# ---- what others have published


def assert_same(ours: ContrastTerms, theirs: Tensor, *, of: Tensor) -> None:
    """Value and gradient agree within 1e-5."""
    torch.testing.assert_close(ours.total, theirs, rtol=0, atol=1e-5)
    [their_gradient] = torch.autograd.grad(theirs, of)
    torch.testing.assert_close(gradient(ours, of=of), their_gradient, rtol=0, atol=1e-5)


def test_without_margin_and_uniform_it_is_supcon_of_pytorch_metric_learning() -> None:
    """Khosla et al. (2020), anchor by anchor, each against its own key and the filled slots."""
    from pytorch_metric_learning.losses import SupConLoss

    queries, keys = vectors(5, seed=1, dim=16).requires_grad_(), vectors(5, seed=2, dim=16)
    types = [0, 1, 3, 2, 1]
    references = drawn_references([1, 0, 2, 1, 1, 0, 2, 1], dim=16)
    published = SupConLoss(temperature=0.2)
    theirs = torch.stack(
        [
            published(
                queries[i : i + 1],
                torch.tensor([kind]),
                ref_emb=torch.cat([keys[i : i + 1], references.keys]),
                ref_labels=torch.cat([torch.tensor([kind]), references.types]),
            )
            for i, kind in enumerate(types)
        ]
    ).mean()
    config = ContrastConfig(alpha="uniform", denominator="all", margin_rad=0.0, temperature=0.2)
    ours = loss_of(queries, keys, types=types, references=references, config=config)
    assert_same(ours, theirs, of=queries)


def test_in_batch_without_margin_and_uniform_is_supcon_of_pytorch_metric_learning() -> None:
    from pytorch_metric_learning.losses import SupConLoss

    views = vectors(12, seed=1, dim=16).requires_grad_()
    types = torch.tensor([0, 1, 3, 2, 1, 0])
    config = ContrastConfig(method="in_batch", alpha="uniform", denominator="all", margin_rad=0.0)
    ours = in_batch_loss(views[:6], views[6:], types=types, config=config)
    theirs = SupConLoss(temperature=config.temperature)(views, types.repeat(2))
    assert_same(ours, theirs, of=views)


@pytest.mark.parametrize("denominator", ["others", "all"])
def test_without_labels_it_is_the_memory_bank_loss_of_lightly(denominator: str) -> None:
    """He et al. (2020): own key against the queue."""
    from lightly.loss import NTXentLoss

    queries = vectors(6, seed=1, dim=16, dtype=torch.float32).requires_grad_()
    keys = vectors(6, seed=2, dim=16, dtype=torch.float32)
    references = drawn_references([0] * 32, dim=16, dtype=torch.float32)
    published = NTXentLoss(temperature=0.2, memory_bank_size=(32, 16))
    published.memory_bank.bank = references.keys.clone()
    theirs = published(queries, keys)
    config = ContrastConfig.model_validate(
        {"method": "moco", "margin_target": "none", "denominator": denominator, "temperature": 0.2}
    )
    ours = loss_of(queries, keys, types=[-1] * 6, references=references, config=config)
    assert_same(ours, theirs, of=queries)


def test_in_batch_with_a_type_for_each_sample_is_ntxent_of_lightly() -> None:
    from lightly.loss import NTXentLoss

    views = vectors(12, seed=1, dim=16).requires_grad_()
    theirs = NTXentLoss(temperature=0.1)(views[:6], views[6:])
    config = ContrastConfig(method="in_batch", margin_rad=0.0)
    ours = in_batch_loss(views[:6], views[6:], types=torch.arange(6), config=config)
    assert_same(ours, theirs, of=views)


# ---- precision


@pytest.mark.parametrize("method", ["queue", "in_batch"])
def test_loss_is_float32_under_bfloat16_autocast(method: str) -> None:
    config = ContrastConfig.model_validate({"method": method})
    queries = vectors(8, seed=1, dim=32, dtype=torch.bfloat16).requires_grad_()
    keys = vectors(8, seed=2, dim=32, dtype=torch.bfloat16)
    references = drawn_references(dim=32, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss_of(queries, keys, config=config, references=references)
    outside = loss_of(queries.detach().float(), keys.float(), config=config, references=references)
    assert [term.dtype for term in inside] == [torch.float32] * 4
    assert numbers(inside) == numbers(outside)
    assert gradient(inside, of=queries).dtype == torch.bfloat16


@pytest.mark.parametrize("denominator", ["others", "all"])
def test_a_low_temperature_does_not_overflow(denominator: str) -> None:
    """Scores of +-1000: their exponentials are not numbers, but the loss is their difference."""
    axis = torch.tensor([[1.0, 0.0]]).requires_grad_()
    references = References(keys=torch.tensor([[1.0, 0.0]]), types=torch.tensor([1]))
    config = ContrastConfig.model_validate(
        {"denominator": denominator, "margin_target": "none", "temperature": 1e-3}
    )
    worst = loss_of(axis, -axis.detach(), types=[0], references=references, config=config)
    assert numbers(worst) == pytest.approx([2000, 2000, 0, 0])
    best = loss_of(
        axis, axis.detach(), types=[0], references=references._replace(keys=-references.keys), config=config
    )
    assert best.total.item() == 0.0
    assert gradient(worst, of=axis).isfinite().all()
    assert gradient(best, of=axis).isfinite().all()


# ---- who counts


@pytest.mark.parametrize("types", [[0, 0], []], ids=["own type alone", "empty queue"])
def test_without_negatives_nothing_is_learnt_from_other_types(types: list[int]) -> None:
    queries, keys = vectors(2, seed=1).requires_grad_(), vectors(2, seed=2)
    references = drawn_references(types)
    terms = loss_of(queries, keys, types=[0, 0], references=references, config=ContrastConfig())
    assert numbers(terms) == [0, 0, 0, len(types)]
    assert not gradient(terms, of=queries).any()


def test_without_negatives_the_other_denominator_weighs_members_of_a_type() -> None:
    queries, keys = vectors(2, seed=1).requires_grad_(), vectors(2, seed=2)
    config = ContrastConfig(denominator="all")
    terms = loss_of(queries, keys, types=[0, 0], references=drawn_references([0, 0]), config=config)
    assert terms.total.item() > 0
    assert gradient(terms, of=queries).isfinite().all()
    alone = loss_of(queries, keys, types=[0, 0], references=drawn_references([]), config=config)
    assert numbers(alone) == [0, 0, 0, 0]


@pytest.mark.parametrize("method", ["queue", "in_batch"])
def test_a_batch_of_unknown_types_gives_zero_with_a_graph(method: str) -> None:
    queries, keys = vectors(3, seed=1).requires_grad_(), vectors(3, seed=2)
    config = ContrastConfig.model_validate({"method": method})
    terms = loss_of(queries, keys, types=[-1] * 3, config=config)
    assert numbers(terms) == [0, 0, 0, 0]
    assert not gradient(terms, of=queries).any()


@pytest.mark.parametrize("config", CONFIGS[::5], ids=name_of)
def test_unknown_samples_and_empty_slots_might_as_well_not_be_there(config: ContrastConfig) -> None:
    queries, keys = vectors(8, seed=1).requires_grad_(), vectors(8, seed=2)
    references = drawn_references()
    known = [i for i, type_ in enumerate(TYPES) if type_ != -1 or config.method == "moco"]
    filled = [i for i, type_ in enumerate(REFERENCE_TYPES) if type_ != -1]
    whole = loss_of(queries, keys, config=config, references=references)
    rest = loss_of(
        queries[known],
        keys[known],
        types=[TYPES[i] for i in known],
        references=References(references.keys[filled], references.types[filled]),
        config=config,
    )
    assert numbers(whole) == pytest.approx(numbers(rest), rel=1e-12)
    torch.testing.assert_close(gradient(whole, of=queries), gradient(rest, of=queries))


def test_without_labels_no_type_is_looked_at() -> None:
    queries, keys, config = vectors(8, seed=1), vectors(8, seed=2), ContrastConfig(method="moco")
    assert numbers(loss_of(queries, keys, config=config)) == numbers(
        loss_of(queries, keys, config=config, types=[2] * 8)
    )


# ---- what must not matter


@pytest.mark.parametrize("config", CONFIGS[::7], ids=name_of)
def test_order_of_queue_and_batch_does_not_matter(config: ContrastConfig) -> None:
    queries, keys = vectors(8, seed=1).requires_grad_(), vectors(8, seed=2)
    references, turn = drawn_references(), torch.randperm(8, generator=torch.Generator().manual_seed(1))
    turned = References(references.keys.flip(0), references.types.flip(0))
    types = [TYPES[i] for i in turn.tolist()]
    one = loss_of(queries, keys, config=config, references=references)
    other = loss_of(queries[turn], keys[turn], types=types, config=config, references=turned)
    assert numbers(one) == pytest.approx(numbers(other), rel=1e-12)
    torch.testing.assert_close(gradient(one, of=queries), gradient(other, of=queries))


def test_in_batch_both_views_play_the_same_part() -> None:
    one, other = vectors(8, seed=1).requires_grad_(), vectors(8, seed=2).requires_grad_()
    config = ContrastConfig(method="in_batch", margin_target="positives", denominator="all")
    forth, back = loss_of(one, other, config=config), loss_of(other, one, config=config)
    assert numbers(forth) == pytest.approx(numbers(back), rel=1e-12)
    for leaf in (one, other):
        assert gradient(forth, of=leaf).any()
        torch.testing.assert_close(gradient(forth, of=leaf), gradient(back, of=leaf))


def test_own_key_weighs_alpha() -> None:
    """The gradient that flows into the own keys is alpha's share; uniform, it is 1 / (1 + |Q+|)."""
    queries, keys = vectors(1, seed=1), vectors(1, seed=2).requires_grad_()
    references = drawn_references([0] * 99 + [1] * 50)

    def pull(alpha: object) -> Tensor:
        config = ContrastConfig.model_validate({"alpha": alpha})
        return gradient(loss_of(queries, keys, types=[0], references=references, config=config), of=keys)

    for alpha, share in ((0.0, 0.0), (0.4, 0.4), ("uniform", 0.01)):
        torch.testing.assert_close(pull(alpha), share * pull(1.0))


def test_margin_target_decides_which_terms_grow() -> None:
    queries, keys = vectors(8, seed=1), vectors(8, seed=2)
    none, own, positives = (
        loss_of(queries, keys, config=ContrastConfig.model_validate({"margin_target": target}))
        for target in ("none", "own", "positives")
    )
    assert none.own < own.own
    assert own.own == positives.own
    assert none.positives == own.positives
    assert own.positives < positives.positives
