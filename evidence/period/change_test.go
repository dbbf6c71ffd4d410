package period

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

func chg(c Change) string {
	text := fmt.Sprintf("%s %s %s", clock(c.At), c.What, c.Subject)
	if c.Field != "" || c.From != "" || c.To != "" {
		text += fmt.Sprintf(" %s: %s -> %s", c.Field, c.From, c.To)
	}
	if c.After != nil {
		text += " after " + clock(*c.After)
	}
	if c.Approver != "" || c.Reason != "" {
		text += fmt.Sprintf(" by %s (%s)", c.Approver, c.Reason)
	}
	return text
}

// resources keeps the changes of resources and of where they are.
func resources(all []Change) []Change {
	var out []Change
	for _, c := range all {
		if strings.HasPrefix(c.What, "resource_") || c.Collector != "" {
			out = append(out, c)
		}
	}
	return out
}

func TestResourceChanges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		world func(w *world)
		want  []string
	}{
		{
			name: "appeared, changed, vanished",
			world: func(w *world) {
				w.set(one, users, "ann", "", "good", "Keys", `[{"Age":1},{"Age":2}]`, "Tag", `{"a":"1","b":null}`)
				w.daily(users, 1, 2)
				w.set(one, users, "bob", "", "good")
				w.daily(users, 3, 3)
				w.set(one, users, "ann", "", "bad", "Keys", `[{"Age":1},{"Age":9}]`, "Tag", `{"a":"x","c":true}`)
				w.daily(users, 4, 4)
				w.set(one, users, "ann", "", "bad", "Keys", `[{"Age":1}]`, "Tag", `{"a":"x","c":true}`)
				w.set(one, users, "bob", "", "")
				w.daily(users, 5, 6)
			},
			want: []string{
				"07-03 06:00:40 resource_appeared bob after 07-02 06:00:10",
				"07-04 06:00:40 resource_changed ann Good: true -> false after 07-03 06:00:10",
				"07-04 06:00:40 resource_changed ann Keys[1].Age: 2 -> 9 after 07-03 06:00:10",
				`07-04 06:00:40 resource_changed ann Tag.a: "1" -> "x" after 07-03 06:00:10`,
				"07-04 06:00:40 resource_changed ann Tag.b: null ->  after 07-03 06:00:10",
				"07-04 06:00:40 resource_changed ann Tag.c:  -> true after 07-03 06:00:10",
				`07-05 06:00:40 resource_changed ann Keys: [{"Age":1},{"Age":9}] -> [{"Age":1}] after 07-04 06:00:10`,
				"07-05 06:00:40 resource_vanished bob after 07-04 06:00:10",
			},
		},
		{
			name: "a field behind a gap is held, whatever is seen meanwhile",
			world: func(w *world) {
				w.set(one, users, "ann", "", "good", "F", "1")
				w.set(one, users, "new", "", "hidden", "F", "1") // Good was never read: what it becomes is no change
				w.daily(users, 1, 1)
				w.set(one, users, "ann", "", "hidden", "F", "1")
				w.daily(users, 2, 2)
				w.set(one, users, "ann", "", "hidden", "F", "2")
				w.daily(users, 3, 3)
				w.set(one, users, "ann", "", "bad", "F", "2")
				w.set(one, users, "new", "", "good", "F", "1")
				w.daily(users, 4, 5)
			},
			want: []string{
				"07-03 06:00:40 resource_changed ann F: 1 -> 2 after 07-02 06:00:10",
				"07-04 06:00:40 resource_changed ann Good: true -> false after 07-01 06:00:10",
			},
		},
		{
			name: "a field that was known not to be there, behind a gap",
			world: func(w *world) {
				w.set(one, users, "ann", "", "good", "Good2", "1")
				w.daily(users, 1, 1)
				w.set(one, users, "ann", "", "blind")
				w.daily(users, 2, 3)
				w.set(one, users, "ann", "", "good", "Good2", "1", "More", "7")
				w.daily(users, 4, 4)
			},
			want: []string{"07-04 06:00:40 resource_changed ann More:  -> 7 after 07-03 06:00:10"},
		},
		{
			name: "a resource that only a gap names is there",
			world: func(w *world) {
				w.set(one, users, "ann", "r1", "good", "F", "1")
				w.set(one, users, "bob", "r1", "good", "F", "1")
				w.set(one, users, "cid", "r1", "good", "F", "1")
				w.daily(users, 1, 1)
				w.set(one, users, "ann", "r1", "gone")
				w.set(one, users, "bob", "r1", "gone")
				w.daily(users, 2, 3)
				w.set(one, users, "ann", "r1", "good", "F", "2")
				w.set(one, users, "bob", "r1", "")
				w.daily(users, 4, 5)
			},
			want: []string{
				"07-04 06:00:40 resource_changed ann F: 1 -> 2 after 07-01 06:00:10",
				"07-04 06:00:40 resource_vanished bob after 07-01 06:00:10",
			},
		},
		{
			name: "a list that was not read to its end says nothing of what is not in it",
			world: func(w *world) {
				w.set(one, users, "ann", "", "good", "F", "1")
				w.daily(users, 1, 2)
				w.deny(one, users, "", true)
				w.daily(users, 3, 4)
				w.deny(one, users, "", false)
				w.set(one, users, "ann", "", "")
				w.set(one, users, "bob", "", "good")
				w.daily(users, 5, 5)
			},
			want: []string{
				"07-05 06:00:40 resource_vanished ann after 07-02 06:00:10",
				"07-05 06:00:40 resource_appeared bob after 07-02 06:00:10",
			},
		},
		{
			name: "a hidden field while the list has a gap too",
			world: func(w *world) {
				w.set(one, users, "ann", "r1", "good")
				w.set(one, users, "far", "r2", "good")
				w.daily(users, 1, 1)
				w.deny(one, users, "r2", true)
				w.set(one, users, "ann", "r1", "hidden")
				w.daily(users, 2, 2)
				w.set(one, users, "ann", "r1", "bad")
				w.deny(one, users, "r2", false)
				w.set(one, users, "far", "r2", "bad")
				w.daily(users, 3, 3)
			},
			want: []string{
				"07-03 06:00:40 resource_changed far Good: true -> false after 07-01 06:00:10",
				"07-03 06:00:40 resource_changed ann Good: true -> false after 07-01 06:00:10",
			},
		},
		{
			name: "a list of all regions: the first resource of a region appeared, the last vanished",
			world: func(w *world) {
				w.set(one, buckets, "a", "r1", "good")
				w.daily(buckets, 1, 1)
				w.set(one, buckets, "b", "r2", "good")
				w.daily(buckets, 2, 2)
				w.set(one, buckets, "a", "r1", "")
				w.daily(buckets, 3, 3)
				w.set(one, buckets, "b", "r2", "")
				w.daily(buckets, 4, 4)
				w.set(one, buckets, "c", "r3", "good")
				w.daily(buckets, 5, 5)
			},
			want: []string{
				"07-02 06:00:40 resource_appeared b after 07-01 06:00:10", "07-03 06:00:40 resource_vanished a after 07-02 06:00:10",
				"07-04 06:00:40 resource_vanished b after 07-03 06:00:10", "07-05 06:00:40 resource_appeared c after 07-04 06:00:10",
			},
		},
		{
			name: "a region that is not looked at any more did not lose its resources",
			world: func(w *world) {
				w.exprs = map[string]string{groups: "0 6 * * *"}
				w.regions = []string{"r1", "r2"}
				w.configure(at("2026-07-01 00:01"), evidence.EventReloaded)
				w.set(one, groups, "a", "r1", "good")
				w.set(one, groups, "b", "r2", "good")
				w.daily(groups, 1, 1)
				w.regions, w.leftOut = []string{"r1"}, []string{"r2"}
				w.daily(groups, 2, 3)
				w.set(one, groups, "b", "r2", "bad")
				w.set(one, groups, "c", "r2", "bad")
				w.regions, w.leftOut = []string{"r1", "r2"}, nil
				w.daily(groups, 4, 4)
				w.principal = "arn:other"
				w.daily(groups, 5, 5)
			},
			want: []string{
				`07-02 06:00:40 scope r2 regions: "r2" ->  after 07-01 06:00:10`,
				`07-02 06:00:40 exclusion r2 regions_left_out:  -> "r2" after 07-01 06:00:10`,
				`07-04 06:00:40 scope r2 regions:  -> "r2" after 07-03 06:00:10`,
				`07-04 06:00:40 exclusion r2 regions_left_out: "r2" ->  after 07-03 06:00:10`,
				"07-04 06:00:40 resource_changed b Good: true -> false after 07-01 06:00:10",
				"07-04 06:00:40 resource_appeared c after 07-01 06:00:10",
				`07-05 06:00:40 scope principal principal: "arn:auditor" -> "arn:other" after 07-04 06:00:10`,
			},
		},
		{
			name: "nobody knew who or where: no change",
			world: func(w *world) {
				w.exprs = map[string]string{groups: "0 6 * * *"}
				w.regions = []string{"r1"}
				w.configure(at("2026-07-01 00:01"), evidence.EventReloaded)
				w.daily(groups, 1, 1)
				w.regions, w.principal = nil, ""
				w.deny(one, groups, "", true)
				w.daily(groups, 2, 2)
				w.deny(one, groups, "", false)
				w.regions, w.principal = []string{"r1"}, "arn:auditor"
				w.daily(groups, 3, 3)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(at("2026-07-01"), evidence.EventStarted)
			test.world(w)
			_, changes := w.fold(window("2026-07-01", "2026-07-11"), nil)
			wantLines(t, "changes", resources(changes), chg, test.want...)
		})
	}
}

func TestConfigurationChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(at("2026-06-01"), evidence.EventStarted) // before the window: what the next is compared with
	plain := w.catalogue
	lowered := strings.Replace(plain, `"default":90,"type":"int"`, `"default":90,"type":"int","override":{"value":400,"owner":"ops","approver":"cto","reason":"audit <week>"}`, 1)
	w.catalogue = lowered
	w.configure(at("2026-07-02 08:00"), evidence.EventReloaded)
	w.catalogue = plain // for one day
	w.configure(at("2026-07-03 08:00"), evidence.EventReloaded)
	w.exprs = map[string]string{users: "0 7 * * *", trails: "@hourly"}
	w.accounts, w.zone = []string{two}, "Europe/Berlin"
	w.configure(at("2026-07-04 08:00"), evidence.EventReloaded)
	w.configure(at("2026-07-04 09:00"), evidence.EventReloaded)
	w.stop(at("2026-07-04 10:00"))
	w.version, w.file, w.limits = "2", "organization: Example\n#\n", map[string]int{"critical": 9, "low": 1}
	w.catalogue = strings.Replace(catalogueJSON(controlJSON("mfa", "critical", checkJSON("c-user", "t.user", "", 90))), `resource.Good && 1 < 2`, `true`, 1)
	w.configure(at("2026-07-05"), evidence.EventStarted)
	w.exprs = map[string]string{users: "0 7 * * *"}
	w.configure(at("2026-07-06"), evidence.EventManual)

	r, changes := w.fold(window("2026-07-01", "2026-08-01"), nil)
	var got []Change
	for _, c := range changes {
		c.From, c.To = strings.ReplaceAll(c.From, strings.Repeat("a", 63), "a*"), strings.ReplaceAll(c.To, strings.Repeat("a", 63), "a*")
		if c.Field == "sha256" {
			c.From, c.To = "old", "new"
		}
		got = append(got, c)
	}
	wantLines(t, "changes", got, chg,
		`07-02 08:00:00 agent reloaded :  -> "1"`,
		`07-02 08:00:00 parameter c-user limit: 90 -> 400 by cto (audit <week>)`,
		`07-03 08:00:00 agent reloaded :  -> "1"`,
		`07-03 08:00:00 parameter c-user limit: 400 -> 90`,
		`07-04 08:00:00 agent reloaded :  -> "1"`,
		`07-04 08:00:00 schedule time_zone : "UTC" -> "Europe/Berlin"`,
		`07-04 08:00:00 scope t.buckets collector: "0 6 * * *" -> `,
		`07-04 08:00:00 scope t.trails collector:  -> "@hourly"`,
		`07-04 08:00:00 schedule t.users schedule: "0 6 * * *" -> "0 7 * * *"`,
		`07-04 08:00:00 scope t/222222222222 account:  -> "222222222222"`,
		`07-04 08:00:00 scope t/111111111111 account: "111111111111" -> `,
		`07-04 09:00:00 agent reloaded :  -> "1"`,
		`07-04 10:00:00 agent stopped by  (signal: terminated)`,
		`07-05 00:00:00 agent started :  -> "2"`,
		`07-05 00:00:00 binary tallystick version: "1" -> "2"`,
		`07-05 00:00:00 binary tallystick binary: "a*1" -> "a*2"`,
		`07-05 00:00:00 parameter remediation_days critical: 2 -> 9`,
		`07-05 00:00:00 parameter remediation_days high: 7 -> `,
		`07-05 00:00:00 parameter remediation_days low:  -> 1`,
		`07-05 00:00:00 catalogue c-bucket check: "title of c-bucket" -> `,
		`07-05 00:00:00 catalogue c-bucket-trail check: "title of c-bucket-trail" -> `,
		`07-05 00:00:00 catalogue c-group check: "title of c-group" -> `,
		`07-05 00:00:00 catalogue c-report check: "title of c-report" -> `,
		`07-05 00:00:00 catalogue c-user pass: "resource.Good && 1 < 2" -> "true"`,
		`07-05 00:00:00 catalogue audit control: "title of audit" -> `,
		`07-05 00:00:00 catalogue net control: "title of net" -> `,
		`07-05 00:00:00 catalogue store control: "title of store" -> `,
		`07-05 00:00:00 configuration configuration.yaml sha256: old -> new`,
		`07-06 00:00:00 agent manual :  -> "2"`,
		`07-06 00:00:00 scope t.trails collector: "@hourly" ->  by  (for a run by hand: the schedule in force stays what it was)`)
	if r.Changes[ChangeParameter] != 5 || len(r.Binaries) != 2 {
		t.Errorf("counts %v, binaries %v", r.Changes, r.Binaries)
	}
	kept, err := NewChangeFile()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if err := kept.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var back []Change
		for c, err := range kept.All() {
			if err != nil {
				t.Fatal(err)
			}
			back = append(back, c)
		}
		if asJSON(t, back) != asJSON(t, changes) {
			t.Error("the changes came back as others")
		}
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
}
