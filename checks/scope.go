package checks

import (
	"github.com/tallystick/tallystick/evidence"
)

// scopeOf gives what rules see of a schedule: the part of one provider. It is
// nil without one.
func scopeOf(s *evidence.Schedule, provider string) map[string]any {
	if s == nil {
		return nil
	}
	accounts := func(scopes []evidence.Scope) []any {
		out := []any{}
		for _, scope := range scopes {
			if scope.Provider == provider {
				out = append(out, scope.Account)
			}
		}
		return out
	}
	left := map[string]any{}
	for account, n := range s.LeftOut(provider) {
		left[account] = map[string]any{
			"name": n.Name, "state": n.State, "excluded": n.Excluded, "reason": n.Reason, "approver": n.Approver,
		}
	}
	var regions any
	if chosen, ok := s.Regions[provider]; ok {
		list := []any{}
		for _, region := range chosen {
			list = append(list, region)
		}
		regions = list
	}
	return map[string]any{
		"accounts": accounts(s.Scopes), "central": accounts(s.Central), "not_collected": left, "regions": regions,
	}
}
