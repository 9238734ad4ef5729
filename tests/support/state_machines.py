"""How hypothesis runs the tests' state machines: few examples, as each of them works on real servers."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_machine(machine: type[RuleBasedStateMachine], *, examples: int = 30, steps: int) -> None:
    chosen = settings(
        phases=[Phase.reuse, Phase.generate],  # to shrink what fails takes minutes
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)
