package collectors

import (
	"slices"
	"strings"

	"github.com/tallystick/tallystick/evidence"
)

// Rule is what a rule of the operator's says of one account or project.
type Rule struct {
	Applies  bool
	Known    bool // whether it applies
	Reason   string
	Approver string
}

// LeftOut says whether rules leave something out, and who answers for that.
// Include are the rules that choose what alone is looked at, if there are any,
// and exclude those that choose what is not. Where it is not known whether a rule
// applies, the thing is looked at, unless it was left out by that very rule
// before: what is left out must be known to be meant.
func LeftOut(include, exclude []Rule, was evidence.NotCollected) (reason, approver string, out bool) {
	before := func(reason, approver string) bool {
		return was.Excluded && was.Reason == reason && was.Approver == approver
	}
	for _, r := range exclude {
		if r.Known && r.Applies || !r.Known && before(r.Reason, r.Approver) {
			return r.Reason, r.Approver, true
		}
	}
	included, undecided := len(include) == 0, false
	var reasons, approvers []string
	for _, r := range include {
		included, undecided = included || r.Known && r.Applies, undecided || !r.Known
		reasons, approvers = append(reasons, r.Reason), append(approvers, r.Approver)
	}
	reason, approver = "not among what is included: "+joined(reasons), joined(approvers)
	if included || undecided && !before(reason, approver) {
		return "", "", false
	}
	return reason, approver, true
}

func joined(list []string) string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}
