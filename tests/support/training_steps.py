"""A training step without the loop around it."""


def step(model, optimizers, data):
    """Make a step as the training loop does it; return the names of the optimisers that stepped."""
    stepped = []
    for update in model.training_step(data):
        optimizer = optimizers[update.optimizer]
        optimizer.zero_grad(set_to_none=True)
        update.total.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])
        optimizer.step()
        assert all(loss.isfinite() for loss in update.losses.values())
        stepped.append(update.optimizer)
    return stepped
