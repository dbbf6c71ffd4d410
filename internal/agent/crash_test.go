package agent

const helperVar = "TALLYSTICK_AGENT_TEST"

func helper(string) int { return 2 }
