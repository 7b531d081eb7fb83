# %% [markdown]
r"""
# 08 · Forgetting: solutions

**After this page you can** compare your answers with one way of doing it.

**You need** to have tried the exercises of page 08 yourself.

**Time**: 5 minutes.
"""
# %% hidden
import copy

from labutils import Settings, load
from labutils.backbones import load_backbone
from labutils.exercises import forgetting as check
from labutils.forgetting import (
    TaskSequence,
    at_equal_accuracy,
    backward_transfer,
    diagonal_fisher,
    forgetting,
)
from labutils.measured import measured

# Shorter than on the page: the arithmetic is the same.
short = Settings(epochs=2, batch_size=16, base_lr=5e-3, keep_best=False, validate_every=2)
textures, digits = load("textures", 64).labelled(36, seed=0), load("digits", 64).labelled(50, seed=0)
start = TaskSequence(load_backbone("efficientnet_lite0"))
start.learn(textures, short)
now = copy.deepcopy(start)
now.learn(digits, short)
in_batches = diagonal_fisher(start.at("textures"), textures, batch_size=12)
# %% [markdown]
r"""
## Exercises

### 1. Two numbers from a matrix

Three tasks left these accuracies, a row after each task:

| | on task 1 | on task 2 | on task 3 |
|---|---|---|---|
| after task 1 | 0.80 | 0.20 | 0.30 |
| after task 2 | 0.90 | 0.70 | 0.40 |
| after task 3 | 0.60 | 0.60 | 0.90 |

Give backward transfer and forgetting as a pair, by hand or in code.

<details><summary>Hint</summary>

Both average over the *earlier* tasks. They differ in where the fall begins: at the diagonal, or at the best accuracy since the
task was learned.

</details>
"""
# %% hidden
R = [[0.80, 0.20, 0.30], [0.90, 0.70, 0.40], [0.60, 0.60, 0.90]]
answer = backward_transfer(R), forgetting(R)
check.numbers_by_hand(answer)
# %% [markdown]
r"""
### 2. Who keeps most?

You need 80 % on the digits. Which way keeps most of the surfaces among those that learn at least that much on the *validation*
pictures? Answer with its name.

<details><summary>Hint</summary>

`at_equal_accuracy(measured("forgetting"), 0.8)` sorts them. Look at what it says about those that do not learn that much.

</details>
"""
# %% hidden
answer = at_equal_accuracy(measured("forgetting"), 0.8)["method"].iloc[0]
check.best_keeper(answer, 0.8)
# %% [markdown]
r"""
### 3. The spring, stretched

What does EWC with λ = 1 add to the loss for the network after the digits, `now.model`, if it is to stay where `start.model`
was, at the importances `in_batches`? Compute the number.

<details><summary>Hint</summary>

½ Σ F (w − w_old)². `in_batches` is a dictionary from the names of weights to their importances;
`dict(now.model.named_parameters())[name]` is the weight of that name.

</details>
"""
# %% hidden
old, new = (dict(model.named_parameters()) for model in (start.model, now.model))
answer = 0.5 * sum((f * (new[name] - old[name]) ** 2).sum().item() for name, f in in_batches.items())
check.penalty(answer, start.model, now.model, in_batches)
