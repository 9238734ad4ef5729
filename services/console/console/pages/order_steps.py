"""The changes of an order that a person can ask for, by its state."""

from dataclasses import dataclass

from console import operations as ops
from console.operations import Operation


@dataclass(frozen=True, slots=True)
class Input:
    """An input field of a form: a text, or one of `choices` where there are any."""

    name: str
    label: str
    is_required: bool = False
    is_long: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """`name` is the end of its address, `from_states` where the state machine allows it
    (tests/console/test_order_steps.py)."""

    name: str
    label: str
    operation: Operation
    from_states: tuple[str, ...]
    inputs: tuple[Input, ...] = ()

    @property
    def target(self) -> str:
        return self.operation.target or "CANCELLED"


STEPS = (
    Step(
        "pay",
        "Report the payment",
        ops.PAY_ORDER,
        ("PENDING_PAYMENT",),
        (Input("payment_transaction_id", "payment reference"),),
    ),
    Step("process", "Begin in the warehouse", ops.PROCESS_ORDER, ("PAID",)),
    Step(
        "ship",
        "Report as shipped",
        ops.SHIP_ORDER,
        ("PROCESSING_IN_WAREHOUSE",),
        (Input("tracking_number", "tracking number"), Input("carrier", "carrier")),
    ),
    Step("deliver", "Report as delivered", ops.DELIVER_ORDER, ("SHIPPED",)),
    Step(
        "cancel",
        "Cancel the order",
        ops.CANCEL_ORDER,
        ("PENDING_PAYMENT", "PAID"),
        (Input("reason", "reason", is_required=True),),
    ),
)
