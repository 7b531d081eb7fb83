"""The loop of PyTorch's transfer-learning tutorial, as people copy it, without its printing.

https://pytorch.org/tutorials/beginner/transfer_learning_tutorial.html
"""

import tempfile
from pathlib import Path

import torch


def train_model(model, criterion, optimizer, scheduler, dataloaders: dict, num_epochs: int) -> float:
    """Train in place and end with the weights of the best validation epoch. Returns its accuracy.

    Parameters
    ----------
    dataloaders : dict
        "train" and "val": of batches (pictures of shape (B, 3, S, S), labels of shape (B,)).
    """
    sizes = {phase: len(loader.dataset) for phase, loader in dataloaders.items()}
    with tempfile.TemporaryDirectory() as folder:
        best, path = 0.0, Path(folder) / "best_model_params.pt"
        torch.save(model.state_dict(), path)
        for _ in range(num_epochs):
            for phase in ("train", "val"):
                model.train(phase == "train")
                loss_sum, correct = 0.0, 0
                for inputs, labels in dataloaders[phase]:
                    optimizer.zero_grad()
                    with torch.set_grad_enabled(phase == "train"):
                        outputs = model(inputs)
                        loss = criterion(outputs, labels)
                        if phase == "train":
                            loss.backward()
                            optimizer.step()
                    loss_sum += loss.item() * len(inputs)
                    correct += int(torch.sum(outputs.argmax(1) == labels))
                if phase == "train":
                    scheduler.step()
                elif correct / sizes[phase] > best:
                    best = correct / sizes[phase]
                    torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
    return best
