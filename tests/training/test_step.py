"""Batches, optimizers and one step."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from spacetime_env.config import BackgroundConfig, Config, ConfigError, Schedule, TrainConfig
from spacetime_env.space import CountMismatch, Space, Targets
from spacetime_env.space.background import ComponentBackground
from spacetime_env.space.batch import Batch
from spacetime_env.training.examples import Examples, JointExamples, batches, joint_batches, require_examples
from spacetime_env.training.step import behind_objects, make_optimizers, mirrored, require_settings, train_step
from tests.helpers.tiny import CONFIG, MODEL, make_space


def take(count: int, size: int, seed: int, start: int, number: int) -> list[list[int]]:
    return [batch.tolist() for batch in islice(batches(count, size, seed, start), number)]


def examples(stacks: int = 5, length: int = 3) -> Examples:
    generator = np.random.default_rng(0)
    z_pres = (generator.random((stacks, length, 16, 1)) < 0.2).astype(np.float32)
    return Examples(
        frames=generator.integers(0, 256, (stacks, length, 3, 38, 32), dtype=np.uint8),
        masks=generator.random((stacks, length, 38, 32)) < 0.5,
        z_pres=z_pres,
        z_where=z_pres * generator.uniform(0.1, 0.4, (stacks, length, 16, 4)).astype(np.float32),
        background=np.zeros((3, 38, 32), np.uint8),
    )


@pytest.mark.parametrize("start", [1, 2, 3, 4, 7, 11])
def test_batches_from_a_later_step_are_the_same(start: int) -> None:
    assert take(6, 2, 3, start, 9) == take(6, 2, 3, 0, start + 9)[start:]


def test_each_epoch_takes_each_index_once() -> None:
    found = take(6, 2, 0, 0, 12)
    for epoch in range(4):
        assert sorted(i for batch in found[epoch * 3 : epoch * 3 + 3] for i in batch) == list(range(6))
    assert len({str(found[epoch * 3 : epoch * 3 + 3]) for epoch in range(4)}) > 1  # in another order
    assert take(6, 2, 1, 0, 12) != found


def test_what_does_not_fill_a_batch_waits_for_another_epoch() -> None:
    found = take(7, 3, 0, 0, 20)
    assert all(len(set(found[i] + found[i + 1])) == 6 for i in range(0, 20, 2))
    assert {index for batch in found for index in batch} == set(range(7))


def test_fewer_stacks_than_a_batch_holds() -> None:
    assert [sorted(batch) for batch in take(3, 16, 0, 5, 2)] == [[0, 1, 2]] * 2


def test_a_batch_is_frame_after_frame() -> None:
    made = examples()
    frames, targets = made.batch(np.array([4, 1]), "cpu")
    assert frames.shape == (6, 3, 38, 32) and targets.length == 3
    assert torch.equal(frames[4], torch.from_numpy(made.frames[1, 1]).float() / 255)
    assert torch.equal(targets.z_pres[4], torch.from_numpy(made.z_pres[1, 1]))
    assert torch.equal(targets.z_where[2], torch.from_numpy(made.z_where[4, 2]))
    assert targets.mask.shape == (6, 1, 38, 32) and targets.mask.dtype == torch.float32
    assert torch.equal(targets.mask[4, 0], torch.from_numpy(made.masks[1, 1]).float())


def take_joint(counts: list[int], size: int, seed: int, start: int, number: int) -> list[list[list[int]]]:
    return [batch.tolist() for batch in islice(joint_batches(counts, size, seed, start), number)]


@pytest.mark.parametrize("start", [1, 2, 3, 5, 13])
def test_joint_batches_from_a_later_step_are_the_same(start: int) -> None:
    counts = [4, 5, 2]
    assert take_joint(counts, 4, 3, start, 9) == take_joint(counts, 4, 3, 0, start + 9)[start:]
    assert take_joint(counts, 4, 4, 0, 9) != take_joint(counts, 4, 3, 0, 9)


@pytest.mark.parametrize(("games", "size"), [(3, 4), (3, 3), (3, 2), (5, 2), (1, 4)])
def test_joint_batches_mix_the_games_evenly(games: int, size: int) -> None:
    found = take_joint([7] * games, size, 0, 0, 6 * games)
    for batch in found:
        counts = [sum(game == one for game, _ in batch) for one in range(games)]
        assert sum(counts) == size and max(counts) - min(counts) <= 1
    for block in range(6):
        seen = [game for batch in found[block * games : (block + 1) * games] for game, _ in batch]
        assert [seen.count(game) for game in range(games)] == [size] * games
    together = {tuple(sorted(game for game, _ in batch)) for batch in found}
    assert len(together) > 1 or size % games == 0  # not always the same neighbours


def test_joint_batches_take_each_stack_of_a_game_once_before_any_again() -> None:
    counts = [4, 6]
    found = [one for batch in take_joint(counts, 4, 0, 0, 12) for one in batch]
    for game, count in enumerate(counts):
        stacks = [stack for which, stack in found if which == game]
        assert len(stacks) == 24
        epochs = [stacks[at : at + count] for at in range(0, 24, count)]
        assert all(sorted(epoch) == list(range(count)) for epoch in epochs) and len(set(map(str, epochs))) > 1


def test_a_joint_batch_brings_each_games_background() -> None:
    one, other = examples(), replace(examples(4), background=np.full((3, 38, 32), 51, np.uint8))
    joint = JointExamples([one, other], fixed=True)
    frames, targets = joint.batch(np.array([[1, 3], [0, 4], [1, 0]]), "cpu")
    assert frames.shape == (9, 3, 38, 32) and targets.length == 3
    for at, (game, stack) in enumerate([(one, 4), (other, 3), (other, 0)]):  # stacks of a game are neighbours
        own, wanted = game.batch(np.array([stack]), "cpu")
        part = slice(3 * at, 3 * at + 3)
        assert torch.equal(frames[part], own) and torch.equal(targets.mask[part], wanted.mask)
        assert torch.equal(targets.z_where[part], wanted.z_where) and torch.equal(targets.z_pres[part], wanted.z_pres)
    assert targets.backgrounds is not None and targets.backgrounds.shape == frames.shape
    assert (targets.backgrounds[:3] == 0).all() and torch.allclose(targets.backgrounds[3:], torch.tensor(0.2))
    assert JointExamples([one, other], fixed=False).batch(np.array([[0, 0]]), "cpu")[1].backgrounds is None
    assert one.batch(np.array([0]), "cpu")[1].backgrounds is None
    batch = next(joint.order(4, 0, 0))
    assert batch.shape == (4, 2) and batch.tolist() == take_joint([5, 4], 4, 0, 0, 1)[0]
    assert next(one.order(4, 0, 0)).tolist() == take(5, 4, 0, 0, 1)[0]


def test_a_step_draws_objects_before_the_background_of_their_game() -> None:
    """With the same image for all it is the step of a network that has it."""
    image = np.full((3, 38, 32), 51, np.uint8)
    plain = replace(examples(), background=image)
    joint = JointExamples([plain, plain], fixed=True)
    found = []
    for known, (frames, targets) in (
        (0.2, plain.batch(np.array([0, 2]), "cpu")),
        (0.9, joint.batch(np.array([[0, 0], [1, 2]]), "cpu")),
    ):
        space = make_space(0).train()
        space.background.image.fill_(known)  # type: ignore[operator,union-attr]
        torch.manual_seed(1)
        optimizers = make_optimizers(space, CONFIG)
        logs, output = train_step(space, optimizers, CountMismatch(CONFIG.loss), frames, targets, CONFIG, 0.0)
        assert torch.allclose(output.background.image, torch.tensor(0.2))
        found.append(logs["total"].item())
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def step(config: Config, progress: float = 0.0, seed: int = 0):
    torch.manual_seed(seed)
    space = make_space(seed, config.model).train()
    optimizers = make_optimizers(space, config)
    before = {name: value.clone() for name, value in space.state_dict().items()}
    frames, targets = examples().batch(np.array([0, 2]), "cpu")
    logs, _ = train_step(space, optimizers, CountMismatch(config.loss), frames, targets, config, progress)
    moved = {n: (v.float() - before[n].float()).abs().max().item() for n, v in space.state_dict().items()}
    return space, optimizers, logs, moved


def test_a_step_moves_what_learns_and_nothing_else() -> None:
    space, optimizers, logs, moved = step(CONFIG)
    assert len(optimizers) == 1
    assert moved["background.image"] == 0
    assert all(moved[name] > 0 for name, _ in space.named_parameters())
    assert {"total", "gradient_norm", "nll", "motion_z_pres", "kl_z_what"} <= set(logs)
    assert all(torch.isfinite(value) and not value.requires_grad for value in logs.values())


def test_a_learned_background_has_its_own_optimizer_and_rate() -> None:
    model = replace(
        MODEL,
        frame_size=(64, 64),
        grid=8,
        background=BackgroundConfig(components=2, image_dim=6, mask_dim=4, component_dim=5, hidden_dim=7),
    )
    train = replace(CONFIG.train, optimizer="rmsprop", background_learning_rate=3e-4)
    space = make_space(0, model)
    first, second = make_optimizers(space, replace(CONFIG, model=model, train=train))
    assert isinstance(first, torch.optim.RMSprop) and isinstance(second, torch.optim.Adam)
    assert [o.param_groups[0]["lr"] for o in (first, second)] == [1e-3, 3e-4]
    both = {id(p) for o in (first, second) for p in o.param_groups[0]["params"]}
    assert both == {id(p) for p in space.parameters()}


def test_the_rate_follows_its_schedule() -> None:
    train = replace(CONFIG.train, learning_rate=0.01, decay=Schedule(1.0, 0.2, 0.5, 1.0))
    config = replace(CONFIG, train=train)
    rates = [step(config, progress)[1][0].param_groups[0]["lr"] for progress in (0.0, 0.5, 0.75, 1.0)]
    assert rates == pytest.approx([0.01, 0.01, 0.006, 0.002])


def test_the_gradient_is_cut() -> None:
    """Adam hides the size of a gradient, so it is read from the parameters."""
    space, _, logs, _ = step(replace(CONFIG, train=replace(CONFIG.train, clip_norm=0.5)))
    norm = torch.sqrt(sum(p.grad.square().sum() for p in space.parameters() if p.grad is not None))
    assert logs["gradient_norm"] > 0.5 and norm.item() == pytest.approx(0.5, rel=1e-4)


def test_the_plain_variant_gets_no_hints() -> None:
    config = replace(CONFIG, model=replace(MODEL, variant="space"))
    frames, targets = examples().batch(np.array([0]), "cpu")
    totals = []
    for mask in (targets.mask, 1 - targets.mask):
        torch.manual_seed(0)
        space = make_space(0, config.model)
        logs, output = train_step(
            space,
            make_optimizers(space, config),
            CountMismatch(config.loss),
            frames,
            targets._replace(mask=mask, z_pres=mask.new_zeros(3, 16, 1)),
            config,
            0.0,
        )
        totals.append(logs["total"].item())
        assert torch.equal(output.foreground.alpha, output.foreground.alpha_pure)
        assert "motion_z_pres" not in logs
    assert totals[0] == totals[1]


def test_examples_that_cannot_be_trained_on() -> None:
    made = examples()
    require_examples(made, CONFIG)
    with pytest.raises(ConfigError, match="holds no frames"):
        require_examples(examples(stacks=0), CONFIG)
    still = replace(made, z_pres=np.zeros_like(made.z_pres))
    with pytest.raises(ConfigError, match=r"nothing moves in the training split of Pong,.*motion.min_area"):
        require_examples(still, CONFIG)
    require_examples(still, replace(CONFIG, model=replace(MODEL, variant="space")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "train.steps: expected 1 or more, got 0"),
        ({"batch_size": -2}, "train.batch_size: expected 1 or more, got -2"),
        ({"log_every": 0}, "train.log_every"),
        ({"picture_every": 0}, "train.picture_every"),
        ({"keep": 0}, "train.keep"),
        ({"threads": 0}, "train.threads"),
        ({"few_shot": ()}, r"train.few_shot: expected numbers of 1 or more, got \[\]"),
        ({"few_shot": (4, 0)}, r"got \[4, 0\]"),
        ({"device": "gpu"}, "train.device: 'gpu' cannot be used"),
        ({"device": "x" * 10**5}, "train.device: 'xxx"),
        ({"device": "meta"}, "train.device: 'meta' cannot be used"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, object], message: str) -> None:
    require_settings(Config())
    with pytest.raises(ConfigError, match=message) as caught:
        require_settings(Config(train=replace(TrainConfig(), **change)))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("subframes", [0, 1, 2])
def test_a_model_looks_at_one_or_two_frames_or_lets_the_data_decide(subframes: int) -> None:
    require_settings(replace(CONFIG, model=replace(MODEL, subframes=subframes)))
    for wrong in (-1, 3):
        with pytest.raises(ConfigError, match=f"model.subframes: expected 0, 1 or 2, got {wrong}"):
            require_settings(replace(CONFIG, model=replace(MODEL, subframes=wrong)))


def one_step(amp: str) -> dict[str, torch.Tensor]:
    config = replace(CONFIG, train=replace(CONFIG.train, amp=amp))
    torch.manual_seed(3)
    space = make_space()
    frames, targets = examples().batch(np.arange(3), "cpu")
    terms, output = train_step(
        space, make_optimizers(space, config), CountMismatch(config.loss), frames, targets, config, 0.2
    )
    assert all(p.dtype == torch.float32 for p in space.parameters())
    assert output.image.dtype == output.foreground.latents.z_what.dtype == torch.float32
    return terms


def test_mixed_precision_says_nearly_the_same() -> None:
    """bfloat16 networks, float32 boxes, rendering and losses; on the CPU only where it is asked for."""
    off, on, auto = (one_step(amp) for amp in ("off", "on", "auto"))
    assert all(torch.equal(auto[name], off[name]) for name in off)
    assert any(not torch.equal(on[name], off[name]) for name in off)
    for name in off:
        if name != "gradient_norm":
            assert torch.isclose(on[name], off[name], rtol=0.1, atol=0.5), name
    assert torch.isfinite(on["gradient_norm"])


def test_a_background_of_components_in_mixed_precision() -> None:
    model = replace(MODEL, frame_size=(64, 64), background=BackgroundConfig())
    torch.manual_seed(0)
    background = ComponentBackground(model)
    with torch.autocast("cpu", torch.bfloat16):
        found = background(torch.rand(2, 3, 64, 64))
    assert {value.dtype for value in found} == {torch.float32}
    assert torch.allclose(found.masks.sum(dim=1), torch.ones(2, 1, 64, 64), atol=1e-5)


def test_what_does_not_move_is_its_own_background():
    config = replace(CONFIG, loss=replace(CONFIG.loss, still_is_background=True))
    config = replace(config, model=replace(config.model, background=BackgroundConfig(kind="fixed")))
    space = Space(config.model)
    space.background.image.fill_(0.25)
    height, width = config.model.frame_size
    frames = torch.rand(2, 3, height, width)
    mask = torch.zeros(2, 1, height, width)
    mask[0, 0, 5, 7] = 1
    targets = Targets(torch.zeros(2, 4, 1), torch.zeros(2, 4, 4), mask, 2)
    found = behind_objects(frames, targets, space, config)
    near = torch.zeros(2, 1, height, width, dtype=torch.bool)
    near[0, 0, 4:7, 6:9] = True  # what moves, and one pixel around it
    assert torch.equal(found, torch.where(near, torch.tensor(0.25), frames))
    # of a game among several, its own
    own = torch.full_like(frames, 0.75)
    found = behind_objects(frames, targets._replace(backgrounds=own), space, config)
    assert torch.equal(found, torch.where(near, own, frames))
    # switched off, and for space, which knows nothing of motion
    assert behind_objects(frames, targets, space, replace(config, loss=CONFIG.loss)) is None
    plain = replace(config, model=replace(config.model, variant="space"))
    assert behind_objects(frames, targets, space, plain) is None


@pytest.mark.parametrize("still", [True, False])
def test_a_step_draws_objects_before_what_is_behind_them(still: bool) -> None:
    """With ``still_is_background`` that is the frame itself but for what moves; without, the image."""
    config = replace(CONFIG, loss=replace(CONFIG.loss, still_is_background=still))
    space = make_space(0).train()
    space.background.image.fill_(0.25)  # type: ignore[operator,union-attr]
    frames, targets = examples().batch(np.array([0, 2]), "cpu")
    mask = torch.zeros_like(targets.mask)
    mask[:, :, 10:20, 5:9] = 1
    targets = targets._replace(mask=mask)
    optimizers, mismatch = make_optimizers(space, config), CountMismatch(config.loss)
    _, output = train_step(space, optimizers, mismatch, frames, targets, config, 0.0)
    expected = torch.full_like(frames, 0.25)
    if still:
        expected = frames.clone()
        expected[:, :, 9:21, 4:10] = 0.25  # what moves, and one pixel around it
    assert torch.equal(output.background.image, expected)


@pytest.mark.parametrize(("progress", "strength"), [(0.0, 1.0), (0.125, 0.75), (0.5, 0.0), (0.9, 0.0)])
def test_a_step_blends_in_hints_as_their_schedule_says(progress: float, strength: float) -> None:
    """``loss.hint`` falls from 1 to 0 in the first half: so much of the alpha map is the motion mask."""
    frames, targets = examples().batch(np.array([0, 2]), "cpu")
    space = make_space(0).train()
    optimizers, mismatch = make_optimizers(space, CONFIG), CountMismatch(CONFIG.loss)
    _, output = train_step(space, optimizers, mismatch, frames, targets, CONFIG, progress)
    pure, hinted = output.foreground.alpha_pure, output.foreground.alpha
    assert torch.allclose(hinted, strength * targets.mask + (1 - strength) * pure, atol=1e-6)


def test_a_step_samples_and_cools_as_its_schedule_says() -> None:
    """tau reaches the network: another temperature, another relaxed sample of z_pres from the same noise."""
    frames, targets = examples().batch(np.array([0]), "cpu")
    found = []
    for tau in (2.5, 0.5):
        config = replace(CONFIG, loss=replace(CONFIG.loss, tau=Schedule(tau, tau), hint=Schedule(0.0, 0.0)))
        space = make_space(0).train()
        torch.manual_seed(4)
        optimizers, mismatch = make_optimizers(space, config), CountMismatch(config.loss)
        _, output = train_step(space, optimizers, mismatch, frames, targets, config, 0.0)
        found.append(output.foreground.latents.z_pres)
        assert not torch.allclose(found[-1], torch.sigmoid(output.foreground.latents.z_pres_logit))
    assert not torch.allclose(*found)


def test_still_background_wants_a_fixed_one():
    config = replace(CONFIG, loss=replace(CONFIG.loss, still_is_background=True))
    config = replace(config, model=replace(config.model, background=BackgroundConfig(kind="components")))
    with pytest.raises(ConfigError, match="still_is_background: only with"):
        require_settings(config)


@pytest.mark.parametrize("share", [0, 2, 6])
def test_frames_that_share_a_background_are_of_one_stack(share: int) -> None:
    for fine in (1, 3):
        background = BackgroundConfig(kind="components", share=fine)
        require_settings(replace(CONFIG, model=replace(CONFIG.model, background=background)))
    background = BackgroundConfig(kind="components", share=share)
    with pytest.raises(ConfigError, match=rf"share: expected a number that divides data.length, 3, got {share}"):
        require_settings(replace(CONFIG, model=replace(CONFIG.model, background=background)))


LEARNED = replace(
    MODEL, variant="space", frame_size=(38, 32), background=BackgroundConfig("linear", 2, 4, 2, 2, 4, 16, 8)
)


def test_the_background_goes_first() -> None:
    """In its steps the foreground does not change, not even the statistics of its BatchNorm."""
    config = replace(CONFIG, model=LEARNED, train=replace(CONFIG.train, background_first=0.5))
    torch.manual_seed(0)
    space = Space(LEARNED).train()
    frames, targets = examples().batch(np.array([0, 2]), "cpu")
    optimizers, mismatch = make_optimizers(space, config), CountMismatch(config.loss)
    before = {name: value.clone() for name, value in space.state_dict().items()}
    terms, output = train_step(space, optimizers, mismatch, frames, targets, config, 0.49)
    assert output is None and terms.keys() == {"total", "gradient_norm", "nll", "kl_background"}
    assert terms["total"] == terms["nll"] + terms["kl_background"]
    after = space.state_dict()
    assert {name.partition(".")[0] for name in after if not torch.equal(after[name], before[name])} == {"background"}
    _, output = train_step(space, optimizers, mismatch, frames, targets, config, 0.5)
    assert output is not None
    assert not torch.equal(space.foreground.encoder.head.weight, before["foreground.encoder.head.weight"])


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_boundary_loss_follows_its_schedule(weight: float) -> None:
    loss = replace(CONFIG.loss, boundary=Schedule(weight, 0.0, 0.6, 0.6), boundary_width=1)
    config = replace(CONFIG, model=LEARNED, loss=loss)
    frames, targets = examples().batch(np.array([1]), "cpu")

    def step(progress: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        space, mismatch = Space(LEARNED).train(), CountMismatch(loss)
        return train_step(space, make_optimizers(space, config), mismatch, frames, targets, config, progress)[0]

    terms, later = step(0.6), step(0.61)
    assert ("boundary" in terms) == (weight > 0) and "boundary" not in later
    if weight:
        rest = sum(value for name, value in terms.items() if name not in ("total", "gradient_norm", "boundary"))
        assert terms["boundary"] > 0
        assert terms["total"].item() == pytest.approx((rest + 2 * terms["boundary"]).item(), rel=1e-6)


def test_a_presence_bias_is_where_cells_begin() -> None:
    torch.manual_seed(0)
    plain, few = Space(LEARNED).eval(), Space(replace(LEARNED, presence_bias=-2.0)).eval()
    x = torch.rand(1, 3, 38, 32)
    assert few.foreground.encoder.head.bias[8].item() == -2.0
    assert few(x).foreground.latents.z_pres.max() < plain(x).foreground.latents.z_pres.min()


def test_stacks_are_mirrored_with_their_targets() -> None:
    made = examples()
    frames, targets = made.batch(np.arange(5), "cpu")
    torch.manual_seed(0)
    flipped, wanted = mirrored(frames, targets, 4, Batch())
    torch.manual_seed(0)
    assert torch.equal(mirrored(frames, targets, 4, Batch())[0], flipped)  # with torch's random numbers
    changed = [not torch.equal(frames[i : i + 3], flipped[i : i + 3]) for i in range(0, 15, 3)]
    assert 0 < sum(changed) < 5
    for f in range(15):
        if not changed[f // 3]:
            assert torch.equal(frames[f], flipped[f]) and torch.equal(targets.z_where[f], wanted.z_where[f])
            continue
        assert torch.equal(frames[f].flip(2), flipped[f]) and torch.equal(targets.mask[f].flip(2), wanted.mask[f])
        for row in range(4):
            for column in range(4):
                here, there = row * 4 + column, row * 4 + 3 - column
                assert wanted.z_pres[f, there] == targets.z_pres[f, here]
                w, h, x, y = targets.z_where[f, here].tolist()
                assert wanted.z_where[f, there].tolist() == [w, h, -x, y]


@pytest.mark.parametrize(("name", "value"), [("flip", True), ("background_first", 0.25)])
def test_a_fixed_background_neither_goes_first_nor_is_mirrored(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"train\.{name}: only with a learned background"):
        require_settings(replace(CONFIG, train=replace(CONFIG.train, **{name: value})))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: replace(c, game="Pong"), r"game is Pong, and data.pictures is here: give one or the other"),
        (lambda c: replace(c, model=replace(c.model, subframes=2)), r"model.subframes: expected 1 with data.pictures"),
        (
            lambda c: replace(c, motion=replace(c.motion, foreground="rarity")),
            r"motion.foreground: rarity counts the colours of a game",
        ),
    ],
)
def test_settings_of_games_do_not_go_with_pictures(change, message: str) -> None:
    pictures = replace(CONFIG, game="", data=replace(CONFIG.data, pictures="here"))
    require_settings(pictures)
    with pytest.raises(ConfigError, match=message):
        require_settings(change(pictures))


def test_bfloat16_is_for_gpus_unless_it_is_asked_for() -> None:
    frames, targets = examples().batch(np.array([0, 1]), "cpu")
    totals = {}
    for amp in ("auto", "off", "on"):
        torch.manual_seed(0)
        config = replace(CONFIG, train=replace(CONFIG.train, amp=amp))
        space = make_space()
        optimizers = make_optimizers(space, config)
        logged, _ = train_step(space, optimizers, CountMismatch(config.loss), frames, targets, config, 0.5)
        totals[amp] = float(logged["total"])
    assert totals["auto"] == totals["off"] != totals["on"]
    assert totals["on"] == pytest.approx(totals["off"], rel=0.05)
