"""The twelve cases of notebook 11: which diagnosis is right, and what the symptom says against each of the others."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One case.

    Parameters
    ----------
    right : str
        Letter of the diagnosis that explains the symptom.
    why : str
        Printed after "Right.": the mechanism, and what to do.
    against : dict of str to str
        For each wrong letter the misconception behind it.
    """

    right: str
    why: str
    against: dict[str, str]

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(sorted({self.right, *self.against}))


CASES = {
    1: Case(
        "C",
        "The list was made before layer4 asked for gradients, and an optimizer steps what it was given, for ever. "
        "Unfreeze first and build the optimizer afterwards, or hand the new weights over with add_param_group.",
        {
            "A": "Small steps are not no steps: with a rate of 1e-3 AdamW moves nearly every weight in some digit. Here not one bit of "
            "any weight has changed, while the head moved at the same rate.",
            "B": "It does reach them: the first line of the output says that every weight in layer4 has a gradient.",
            "D": "eval() changes what dropout and BatchNorm compute. Gradients and steps know nothing of it: the head has moved.",
            "E": "The order in train is zero_grad, backward, step, so the gradients that step finds are new. The head goes through "
            "the same loop, and has moved.",
        },
    ),
    2: Case(
        "E",
        "A running mean is no parameter: requires_grad does not concern it, and it moves in each forward pass in training mode. "
        "Put the frozen groups into evaluation mode after every net.train().",
        {
            "A": "Weight decay acts on what the optimizer was given, and that is the head. The frozen weights are the same to the last bit.",
            "B": "Features are what comes out before the head: whatever the head is, they do not depend on it.",
            "C": "features_of asks in evaluation mode, where dropout is off; and no group before the head has any dropout.",
            "D": "A gradient changes nothing: a step does. No frozen weight has moved, as the first line of the output says. "
            "Weights are not all that a network keeps.",
        },
    ),
    3: Case(
        "B",
        "Training saw normalised pixels from -1 to 1, this code gives pixels from 0 to 1. The transform belongs to the network: "
        "keep them together, and ask about the training pictures again after each change of the pipeline.",
        {
            "A": "Overfitting shows on *new* pictures. These are the training pictures: a head that knows them by heart would be right.",
            "C": "That is how it was in the training, too: pictures() repeats the grey channel in the same way.",
            "D": "In evaluation mode each picture is computed for itself: the size of the batch makes no difference but for rounding.",
            "E": "That was a good step on the way; without it the numbers would be further off still. Compare what this network gets with "
            "what features_of was given in the sound run.",
        },
    ),
    4: Case(
        "A",
        "The pretrained group gets the high rate and loses what it knew within a few steps; the new head, which has everything to learn, hardly moves. "
        "A dictionary of names, as here, makes such a slip visible: print the rates of optimizer.param_groups.",
        {
            "B": "The movement is measured by the size of the weights, so their number cancels out. And the steps of AdamW are about as "
            "large as the rate, for every single weight.",
            "C": "Each parameter group of an optimizer has a rate of its own: that is what the list of dictionaries is for.",
            "D": "Then the head would be on its way, and the accuracy near that of the start or above. More epochs of this make more of it.",
            "E": "Both groups have moved. Evaluation mode is about dropout and BatchNorm, not about learning.",
        },
    ),
    5: Case(
        "D",
        "The best of twenty epochs was picked by the test pictures, so their luck is part of the score. Pick the epoch by validation pictures, then "
        "look at the test pictures once.",
        {
            "A": "Few pictures make a score uncertain, up or down alike: the mean of twenty such scores would be about right. "
            "Here the error goes one way.",
            "B": "Overfitting lowers the accuracy on all unseen pictures, those 33 as well as the 656: it makes no gap between them.",
            "C": "The small sets are parts of the 656, drawn at random: on average they are exactly as hard.",
            "E": "A jumping training gives bad results or good ones, but the same network is measured on both sets. Jumps alone make no gap between them.",
        },
    ),
    6: Case(
        "A",
        "Dropout draws anew at each call, and BatchNorm uses the batch at hand and updates what it stores: an evaluation that leaves traces. "
        "Call net.eval() before and net.train() after.",
        {
            "B": "Both contexts are about what is remembered for backward(). Neither changes what is computed, so the answers would differ all the same.",
            "C": "Weights move in optimizer.step() only, and here is no optimizer. What has changed is something else than weights.",
            "D": "The pictures are the first 96 rows, in order, both times: nothing is shuffled.",
            "E": "A network is a function: unsure or not, the same numbers in give the same numbers out, unless some layer is random on purpose.",
        },
    ),
    7: Case(
        "B",
        "Both parts share one data set, and with it the transform: the validation pictures are cropped anew at every look. Split row numbers, "
        "and make two data sets, of which one has no random transform.",
        {
            "A": "random_split draws once. After that a part holds a fixed list of row numbers: the labels come in the same order at both looks.",
            "C": "Milder crops would hide the contradiction, not end it: a validation picture should look the same whenever it is asked for.",
            "D": "Data sets have no evaluation mode. And net.eval() does not reach them, rightly: they are not part of the network.",
            "E": "A loop over a part runs through its rows in a fixed order. Only a loader with shuffle=True changes it. The figure shows "
            "one and the same row.",
        },
    ),
    8: Case(
        "E",
        "With four versions of each picture and three quarters of the rows drawn, nearly every validation picture has a sister among the training rows. "
        "Split the pictures first, then make versions of the training part.",
        {
            "A": "It has, and that is the point: why then does it do so well on rows that it was *not* trained on? An honest validation "
            "would show the overfitting, as the test does.",
            "B": "Training, validation and test pictures were drawn at random from the same cells. What differs is how much like the training "
            "rows they are.",
            "C": "Cells have no above and below, and harm would show in both figures. Here one of them is too good.",
            "D": "Not here: the test pictures are looked at once, after 30 epochs that were fixed beforehand. And then the *test* figure would be too good.",
        },
    ),
    9: Case(
        "C",
        "cross_entropy gives the mean over its part, and backward() adds: four means instead of one. Weigh the loss of each part by its share of the pictures. "
        "With Adam, which divides by the size of the gradient, you would hardly see the bug; with SGD the steps are several times too long.",
        {
            "A": "Each part has a graph of its own, used once. retain_graph is for going back through the same graph twice.",
            "B": "head.zero_grad() is called in between, and `whole` is a clone: nothing of it is left in the gradient.",
            "D": "No optimizer appears in this code, and no step: gradients alone are compared.",
            "E": "The head is one linear layer on features that were computed before: no BatchNorm takes part.",
        },
    ),
    10: Case(
        "D",
        "The loader shuffles, and the labels are taken in the order of the data set: the head learned noise by heart. Keep the labels that come "
        "with each batch, or do not shuffle when features are kept.",
        {
            "A": "Overfitting brings accuracy down some way, seldom to that of a guess. The same head on the same pictures is right about "
            "more than 80 % of the validation pictures when all is sound.",
            "B": "They do come from another part, and it costs some points: a well-trained head is right about more than 80 % of them.",
            "C": "They suit them well: a well-trained head on these very features is right about more than 80 % of the validation pictures.",
            "E": "No: in training mode BatchNorm would mix the pictures of a batch into one another's features.",
        },
    ),
    11: Case(
        "B",
        "cross_entropy takes the raw outputs and applies softmax itself. Outputs between 0 and 1 can differ by 1 at most, so the loss cannot fall below ln(e + 11) - 1 = 1.619, "
        "and gradients fade long before. Leave the softmax out, and apply it only to show probabilities.",
        {
            "A": "The curve is flat at the end, and at a number that more epochs or a higher rate do not change. Without the bug it falls below 0.1 in the same 30 epochs.",
            "C": "Most training pictures are already answered right, all or nearly all of them: wrong labels would show as wrong answers.",
            "D": "Most training pictures are answered right, so the layer is rich enough. What it cannot do is to be *sure*.",
            "E": "A sure and right answer has a loss of -ln 1 = 0, with twelve classes as with two. Ln 12 = 2.48 is the loss of a guess.",
        },
    ),
    12: Case(
        "A",
        "T_max=10 counts calls of schedule.step(), and it is called after every batch, seven times an epoch. Call it once an epoch, or "
        "set T_max to the number of batches in all.",
        {
            "B": "Half a cosine goes down only: from 0.1 to 0 in T_max steps. It rises because it is asked for more than that.",
            "C": "An optimizer does not know what an epoch is. Its rate is what the schedule has set last.",
            "D": "Then the rate would still be high after ten epochs. T_max is to be counted in calls of schedule.step(), whatever these are.",
            "E": "The other way round: first the optimizer, then the schedule, as here. A swap would shift the rates by one step, not fold them.",
        },
    ),
}
