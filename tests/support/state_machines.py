"""Settings with which hypothesis runs the state machines: few examples, because each one uses real servers."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_machine(machine: type[RuleBasedStateMachine], *, examples: int = 30, steps: int) -> None:
    machine_settings = settings(
        phases=[Phase.reuse, Phase.generate],  # shrinking would take minutes
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=machine_settings)
