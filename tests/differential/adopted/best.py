"""The best of several attempts."""

import dspy


def brief(args, pred):
    return 1.0 if len(pred.slogan) < 12 and args["product"].lower() in pred.slogan.lower() else 0.0


class Slogan(dspy.Signature):
    """Write a slogan with the product's name in it."""

    product: str = dspy.InputField()
    slogan: str = dspy.OutputField()


class Best(dspy.Module):
    def __init__(self):
        super().__init__()
        self.write = dspy.BestOfN(module=dspy.ChainOfThought(Slogan), N=3, reward_fn=brief, threshold=1.0)

    def forward(self, product):
        return self.write(product=product)
