"""What the headless lab does: sizes, seeds and places, from the arguments of ``solution.py``."""

import hashlib
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from labutils.experiments.comparisons import RATE_FACTORS, augmentation_for
from labutils.experiments.runs import Pictures, Run, open_domain
from labutils.headless.shared_options import pictures_of, reading_options
from labutils.networks.backbones import DEFAULT_BACKBONE, build_feature_extractor
from labutils.networks.catalogue import find
from labutils.runtime.devices import pick_device
from labutils.training.settings import Settings


@dataclass(frozen=True)
class Plan:
    """What the headless lab does: sizes, seeds and places."""

    domain: str | Pictures = "solar"
    backbone: str = DEFAULT_BACKBONE
    image_size: int = 128
    seeds: tuple[int, ...] = (0, 1, 2)
    labels: int = 500
    epochs: int = 10
    trained_groups: tuple[int, ...] = (1, 2, 3)
    decays: tuple[float, ...] = (1.0, 3.0)
    # The lowest was the best in no domain, and two cores try two side by side.
    rate_factors: tuple[float, ...] = RATE_FACTORS[1:]
    gap_domains: tuple[str | Pictures, ...] = ("textures", "solar", "digits")
    # Fewer sizes than the table of page 07: all parts together should take no more than 20 minutes on two cores.
    gap_labels: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"textures": (60, 120), "solar": (50, 100), "digits": (50, 300)}
    )
    # Where networks are trained from scratch, all groups of them: at 128 px part 4 alone takes eight minutes.
    small_image_size: int = 64
    minutes: float = 3  # for the finished classifier
    device: str | None = None
    workers: int | str | None = None  # see `run_all`
    outputs: Path = Path("outputs")

    @classmethod
    def from_arguments(cls, arguments) -> "Plan":
        """The plan for the arguments of ``solution.py``. Raises ValueError for what cannot work, before any training."""
        find(arguments.backbone)  # raises with the near matches
        device = str(pick_device(arguments.device))
        if arguments.data is not None and arguments.domain is not None:
            raise ValueError("Give --domain or --data, not both")
        if arguments.data is None and (options := reading_options(arguments)):
            raise ValueError(
                f"--{next(iter(options)).replace('_', '-')} says how to read a folder: give one with --data"
            )
        if isinstance(arguments.workers, int) and arguments.workers < 1:
            raise ValueError(f"--workers {arguments.workers}: at least 1 process is needed")
        if arguments.seeds is not None and arguments.seeds < 1:
            raise ValueError(f"--seeds {arguments.seeds}: at least 1 is needed, 3 give an interval")
        plan = cls(
            backbone=arguments.backbone, device=device, workers=arguments.workers, outputs=arguments.outputs
        )
        if arguments.quick:
            plan = replace(
                plan,
                image_size=64,
                seeds=(0,),
                labels=200,
                epochs=4,
                minutes=1,
                rate_factors=(1.0,),
                gap_labels={"textures": (60,), "solar": (100,), "digits": (50, 200)},
            )
        if arguments.seeds:
            plan = replace(plan, seeds=tuple(range(arguments.seeds)))
        if arguments.image_size is not None:
            plan = replace(
                plan,
                image_size=arguments.image_size,
                small_image_size=min(arguments.image_size, plan.small_image_size),
            )
        if arguments.data is None:
            plan = replace(plan, domain=arguments.domain or plan.domain)
        else:
            own = pictures_of(arguments.data, arguments)
            plan = replace(plan, domain=own, gap_domains=(own,), gap_labels={})
        domain = open_domain(plan.domain, plan.image_size)
        groups = len(build_feature_extractor(plan.backbone, len(domain.classes)))
        return replace(
            plan,
            labels=min(max(plan.labels, len(domain.classes)), len(domain.train)),
            trained_groups=tuple(sorted({min(n, groups) for n in plan.trained_groups})),
        )

    @property
    def settings(self) -> Settings:
        # Four parts a batch quarter the memory of the activations; a smaller cache leaves room for two workers.
        return Settings(
            epochs=self.epochs,
            augmentation=augmentation_for(self.domain),
            keep_best=False,
            validate_every=2,
            accumulate=4,
            cache_limit_gb=0.3,
            device=self.device,
        )

    @property
    def store(self) -> Path:
        return self.outputs / "runs"

    @property
    def digest(self) -> str:
        """Differs when anything differs that can change a result."""
        facts = {k: v for k, v in asdict(self).items() if k not in ("workers", "outputs")}
        pictures = open_domain(self.domain, self.image_size).fingerprint
        return hashlib.sha256(repr((version("transfer-learning-lab"), pictures, facts)).encode()).hexdigest()[
            :12
        ]

    def run(self, strategy, seed: int) -> Run:
        return Run(self.domain, self.backbone, strategy, self.labels, seed, self.settings, self.image_size)

    @property
    def title(self) -> str:
        name, count = open_domain(self.domain, self.image_size).name, len(self.seeds)
        seeds = f"{count} seed{'s' * (count > 1)}"
        return f"{name}, {self.labels} labelled pictures, {self.image_size} px, {seeds}"
