"""Part 10 of the headless lab: a finished classifier of all labelled pictures."""

from labutils.deploy.files import save
from labutils.experiments.finetune import finetune
from labutils.experiments.runs import open_domain
from labutils.experiments.trials import in_words
from labutils.headless.own_pictures import result_files, write_results
from labutils.headless.parts.writing import keep
from labutils.headless.plan import Plan
from labutils.runtime.distributed import alone, from_main, is_main


def finished_classifier(plan: Plan) -> str:
    """10 · A finished classifier, trained on all labelled pictures"""
    text = None
    if is_main():  # what is tried depends on the clock, which several processes would read differently
        with alone():
            text = _train(plan)
    return from_main(text)


def _train(plan: Plan) -> str:
    from labutils.plots.diagnostics import plot_confusion

    domain = open_domain(plan.domain, plan.image_size)
    result = finetune(domain, plan.minutes, plan.backbone, plan.seeds[0], device=plan.device)
    network = plan.outputs / "classifier.safetensors"
    save(result.model, domain, network)
    write_results(network, result.model, domain, result.evaluation, result.tried)
    seen = result.evaluation
    keep(plan, "finished_classifier", result.tried, plot_confusion(seen.confusion, seen.classes, plan.title))
    files = ", ".join(f"[{file.name}]({file.name})" for file in (network, *result_files(network)))
    return (
        f"Chosen on validation pictures alone: {result.chosen}.\n\n{in_words(result.tried).to_markdown(index=False)}\n\n"
        f"On the test pictures:\n\n```\n{seen.report()}\n```\n\n![Confusion matrix](finished_classifier.png)\n\n"
        f"Files: {files}. New pictures: `python -m labutils predict {network} NEW`"
    )
