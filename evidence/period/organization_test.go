package period

import (
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

func notCollected(account, state, reason string) evidence.NotCollected {
	n := evidence.NotCollected{Scope: evidence.Scope{Provider: "t", Account: account}, State: state, Reason: reason}
	if reason != "" {
		n.Excluded, n.Approver = true, "cto"
	}
	return n
}

// The change log says of each account of an organisation when it came, went, was
// left out or began to answer for the others, and by which listing.
func TestOrganizationChanges(t *testing.T) {
	t.Parallel()
	const by = "by the organisation's own listing, record 7"
	found := func(d evidence.Discovery) []evidence.Discovery {
		d.Scope, d.Record = evidence.Scope{Provider: "t", Account: one}, 7
		return []evidence.Discovery{{Scope: evidence.Scope{Provider: "u", Account: "9"}, Record: 5, Appeared: []string{three}}, d}
	}
	for _, test := range []struct {
		name  string
		event string
		edit  func(w *world)
		want  []string
	}{
		{
			name: "an account appeared", event: evidence.EventDiscovered,
			edit: func(w *world) {
				w.accounts, w.discoveries = []string{one, two, three}, found(evidence.Discovery{Appeared: []string{three}})
			},
			want: []string{`scope t/333333333333 account:  -> "333333333333" by  (` + by + `)`},
		},
		{
			name: "one appeared that a rule leaves out", event: evidence.EventDiscovered,
			edit: func(w *world) {
				w.left, w.discoveries = append(w.left, notCollected(three, "", "sandbox")), found(evidence.Discovery{Appeared: []string{three}})
			},
			want: []string{`scope t/333333333333 not_collected:  -> "excluded: sandbox (approved by cto)" by cto (sandbox; ` + by + `)`},
		},
		{
			name: "an account vanished, and one that was left out", event: evidence.EventDiscovered,
			edit: func(w *world) {
				w.accounts, w.left = []string{one}, nil
				w.discoveries = found(evidence.Discovery{Vanished: []string{two, "444444444444"}})
			},
			want: []string{
				`scope t/222222222222 account: "222222222222" ->  by  (` + by + `)`,
				`scope t/444444444444 not_collected: "excluded: training (approved by cto)" ->  by  (` + by + `)`,
			},
		},
		{
			name: "an account was suspended", event: evidence.EventDiscovered,
			edit: func(w *world) {
				w.accounts, w.left = []string{one}, append([]evidence.NotCollected{notCollected(two, "SUSPENDED", "")}, w.left...)
				w.discoveries = found(evidence.Discovery{Suspended: []string{two}})
			},
			want: []string{
				`scope t/222222222222 account: "222222222222" ->  by  (` + by + `)`,
				`scope t/222222222222 not_collected:  -> "state SUSPENDED" by  (` + by + `)`,
			},
		},
		{
			name: "another account answers for the organisation", event: evidence.EventDiscovered,
			edit: func(w *world) { w.central, w.discoveries = []string{two}, found(evidence.Discovery{}) },
			want: []string{
				`scope t/111111111111 central: true ->  by  (` + by + `)`,
				`scope t/222222222222 central:  -> true by  (` + by + `)`,
			},
		},
		{
			name: "the operator leaves one out, and no longer another", event: evidence.EventReloaded,
			edit: func(w *world) {
				w.accounts, w.left = []string{one, "444444444444"}, []evidence.NotCollected{notCollected(two, "", "sold")}
				w.discoveries = found(evidence.Discovery{})
			},
			want: []string{
				`scope t/444444444444 account:  -> "444444444444"`,
				`scope t/222222222222 account: "222222222222" -> `,
				`scope t/222222222222 not_collected:  -> "excluded: sold (approved by cto)" by cto (sold)`,
				`scope t/444444444444 not_collected: "excluded: training (approved by cto)" -> `,
			},
		},
		{
			name: "for another reason", event: evidence.EventReloaded,
			edit: func(w *world) { w.left = []evidence.NotCollected{notCollected("444444444444", "", "sandbox")} },
			want: []string{`scope t/444444444444 not_collected: "excluded: training (approved by cto)" -> "excluded: sandbox (approved by cto)" by cto (sandbox)`},
		},
		{
			name: "an account appeared while nobody looked", event: evidence.EventStarted,
			edit: func(w *world) {
				w.accounts, w.chosen = []string{one, two, three}, []string{"r1"}
				w.discoveries = found(evidence.Discovery{Appeared: []string{three}})
			},
			want: []string{
				`scope t/333333333333 account:  -> "333333333333" by  (` + by + `)`,
				`scope t regions:  -> ["r1"]`, // which no listing says
			},
		},
		{
			name: "by hand", event: evidence.EventManual,
			edit: func(w *world) {
				w.accounts, w.discoveries = []string{one, two, three}, found(evidence.Discovery{Appeared: []string{three}})
			},
			want: []string{`scope t/333333333333 account:  -> "333333333333" by  (` + by + `; for a run by hand: the schedule in force stays what it was)`},
		},
		{
			name: "the same listing again", event: evidence.EventStarted,
			edit: func(w *world) { w.discoveries = found(evidence.Discovery{}) },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.accounts, w.central = []string{one, two}, []string{one}
			w.left = []evidence.NotCollected{notCollected("444444444444", "", "training")}
			w.configure(at("2026-07-01"), evidence.EventStarted)
			test.edit(w)
			w.configure(at("2026-07-02"), test.event)
			_, changes := w.fold(window("2026-07-01", "2026-07-11"), nil)
			var got []Change
			for _, c := range changes {
				if c.What != ChangeAgent {
					got = append(got, c)
				}
			}
			wantLines(t, "changes", got, func(c Change) string {
				return strings.TrimPrefix(chg(c), "07-02 00:00:00 ")
			}, test.want...)
		})
	}
}
