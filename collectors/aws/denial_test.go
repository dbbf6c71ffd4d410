package aws_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// account is what is seen of one account when nothing is denied.
type account struct {
	id   string
	seen map[string]*seen           // by collector
	made map[string]map[string]bool // by operation: the regions in which it is called

	surveyed map[string]map[string]*seen // of every account, by account and collector

	verdicts map[[3]string]evidence.Verdict // by check, region and resource
}

// survey runs every collector over every account.
func survey(t *testing.T, rules *checks.Catalogue, all []collectors.Collector) []account {
	t.Helper()
	surveyed := map[string]map[string]*seen{}
	var accounts []account
	for _, id := range recordings.Accounts() {
		a := account{id: id, seen: map[string]*seen{}, made: map[string]map[string]bool{}, surveyed: surveyed}
		var mu sync.Mutex
		for _, c := range all {
			a.seen[c.Spec().Name], _ = replay(t, c, id, func(_ *http.Request, l capture.Labels) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				if a.made[l.Operation] == nil {
					a.made[l.Operation] = map[string]bool{}
				}
				a.made[l.Operation][l.Region] = true
				return nil, nil
			})
		}
		surveyed[id] = a.seen
		accounts = append(accounts, a)
	}
	for i := range accounts {
		accounts[i].verdicts = accounts[i].judged(t, rules, all, "", nil, nil)
	}
	return accounts
}

// judged evaluates checks, with what one collector saw in this account in place
// of what it sees when nothing is denied.
func (a account) judged(t *testing.T, rules *checks.Catalogue, all []collectors.Collector, name string, got *seen, which []string) map[[3]string]evidence.Verdict {
	t.Helper()
	surveyed := map[string]map[string]*seen{}
	maps.Copy(surveyed, a.surveyed)
	surveyed[a.id] = maps.Clone(a.seen)
	if name != "" {
		surveyed[a.id][name] = got
	}
	verdicts := map[[3]string]evidence.Verdict{}
	if err := rules.Evaluate(t.Context(), input(a.id, all, surveyed), which, func(v evidence.Verdict) error {
		verdicts[[3]string{v.Check, v.Region, v.Resource}] = v
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return verdicts
}

// TestDenial denies each call of each collector in turn, over both accounts.
// Its rows come from the declarations of the collectors and from what the
// checks read, so a new collector or check is in it by existing.
func TestDenial(t *testing.T) {
	rules, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	e := estate(t)
	all := aws.Catalogue(e)
	accounts := survey(t, rules, all)
	for _, c := range all {
		spec := c.Spec()
		depends := dependents(rules, spec.Kinds)
		for _, call := range spec.Calls {
			t.Run(spec.Name+"/"+call.Operation, func(t *testing.T) {
				blind := map[string]bool{} // checks that came out unknown because of it
				for _, a := range accounts {
					got, _ := replay(t, c, a.id, deny(t, call.Operation))
					d := denial{spec: spec, call: call, account: a, got: got}
					d.gaps(t)
					d.resources(t)
					if which := slices.Sorted(maps.Keys(depends)); len(which) > 0 {
						d.verdicts(t, which, a.judged(t, rules, all, spec.Name, got, which), blind)
					}
				}
				for check, reads := range depends {
					if reads.need(call) && !blind[check] {
						t.Errorf("%s reads what %s fills, and no verdict of it is unknown", check, call.Operation)
					}
				}
			})
		}
	}
}

// deny refuses every call of one operation.
func deny(t *testing.T, operation string) intercept {
	t.Helper()
	return func(req *http.Request, l capture.Labels) (*http.Response, error) {
		if !strings.EqualFold(l.Operation, operation) {
			return nil, nil
		}
		r, known := refusals()[l.Service]
		if !known {
			t.Errorf("add the protocol of %s to refusals", l.Service)
			return nil, fmt.Errorf("no refusal for %s", l.Service)
		}
		return r.answer(req, r.denied), nil
	}
}

// dependence is what one check reads: the fields by kind.
type dependence map[string][]string

// dependents gives the checks that read any of the kinds.
func dependents(rules *checks.Catalogue, kinds []string) map[string]dependence {
	out := map[string]dependence{}
	for _, check := range rules.Checks() {
		if check.Provider != aws.Provider {
			continue
		}
		reads := dependence{}
		for _, r := range rules.Reads(check.ID) {
			reads[r.Kind] = append(reads[r.Kind], r.Fields...)
		}
		if slices.ContainsFunc(kinds, func(k string) bool { _, ok := reads[k]; return ok }) {
			out[check.ID] = reads
		}
	}
	return out
}

// need says whether the verdicts of a check must suffer when a call is denied.
func (d dependence) need(call collectors.Call) bool {
	fields, reads := d[call.Kind]
	switch {
	case call.Kind == "": // a call on which everything rests
		return true
	case !reads:
		return false
	case call.Field == "":
		return true
	default:
		return slices.Contains(fields, call.Field) || slices.Contains(fields, "*")
	}
}

// denial is one call denied in one account, and what was seen all the same.
type denial struct {
	spec    collectors.Spec
	call    collectors.Call
	account account
	got     *seen
}

func (d denial) undenied() *seen { return d.account.seen[d.spec.Name] }

// kinds are those whose lists rest on the call; none when it fills a field.
func (d denial) kinds() []string {
	switch {
	case d.call.Kind == "":
		return d.spec.Kinds
	case d.call.Field == "":
		return []string{d.call.Kind}
	default:
		return nil
	}
}

// gaps demands a gap for whatever the denied call would have shown, and none
// for anything else.
func (d denial) gaps(t *testing.T) {
	t.Helper()
	type place struct{ kind, region, resource, field string }
	found := map[place]bool{}
	for _, g := range d.got.gaps {
		if g.Operation != d.call.Operation {
			if !slices.Contains(d.undenied().gaps, g) {
				t.Errorf("a gap by another call: %s %s %s", g.Kind, g.Resource, g)
			}
			continue
		}
		if g.Class != evidence.Denied || g.Permission != d.call.Needs() || g.Code == "" || g.Message == "" {
			t.Errorf("the gap is %+v; want class denied, permission %s, the code and the message", g, d.call.Needs())
		}
		found[place{g.Kind, g.Region, g.Resource, g.Field}] = true
	}
	want := map[place]bool{}
	for _, kind := range d.kinds() {
		for _, region := range d.regions() {
			want[place{kind, region, "", ""}] = true
		}
	}
	for _, o := range d.undenied().observations {
		if o.Kind == d.call.Kind && d.call.Field != "" && d.filled(t, o) {
			want[place{o.Kind, o.Region, o.ID, d.call.Field}] = true
		}
	}
	for p := range want {
		if !found[p] {
			t.Errorf("account %s: no gap for %+v", d.account.id, p)
		}
	}
	for p := range found {
		if !want[p] {
			t.Errorf("account %s: a gap for %+v, which the call does not fill", d.account.id, p)
		}
	}
}

// regions are those whose lists are lost.
func (d denial) regions() []string {
	if d.call.Kind == "" || d.spec.Reach != collectors.Regional {
		return []string{""}
	}
	return slices.Sorted(maps.Keys(d.account.made[d.call.Operation]))
}

// filled says whether the call was made for a resource when it was not denied:
// it filled the field, or left a gap there.
func (d denial) filled(t *testing.T, o evidence.Observation) bool {
	t.Helper()
	g := evidence.Gap{Kind: o.Kind, Resource: o.ID, Field: d.call.Field}
	return hasField(t, d.undenied(), g) || slices.ContainsFunc(d.undenied().gaps, func(u evidence.Gap) bool {
		return u.Kind == g.Kind && u.Resource == g.Resource && u.Field == g.Field
	})
}

// resources demands that no list that was lost counts as read, that no
// resource vanishes for a field, and that a field that was not read is absent.
func (d denial) resources(t *testing.T) {
	t.Helper()
	for _, kind := range d.kinds() {
		for _, region := range d.regions() {
			if d.got.listed[kind+"@"+region] {
				t.Errorf("account %s: the list of %s in %q counts as read to its end", d.account.id, kind, region)
			}
		}
	}
	if d.call.Field == "" {
		return
	}
	if !maps.Equal(d.got.listed, d.undenied().listed) || !slices.Equal(d.got.vanished, d.undenied().vanished) {
		t.Errorf("account %s: the lists or what vanished differ for a denied field", d.account.id)
	}
	ids := func(s *seen) (out []string) {
		for _, o := range s.observations {
			out = append(out, o.Kind+" "+o.Region+" "+o.ID)
		}
		return out
	}
	if got, want := ids(d.got), ids(d.undenied()); !slices.Equal(got, want) {
		t.Errorf("account %s: saw %q, want %q", d.account.id, got, want)
	}
	for _, g := range d.got.gaps {
		if g.Operation == d.call.Operation && hasField(t, d.got, g) {
			t.Errorf("%s has the field %s although it could not be read", g.Resource, g.Field)
		}
	}
}

// verdicts demands that a verdict stays what it is or becomes unknown and says
// which call and which permission it lacks. It notes the checks that did.
func (d denial) verdicts(t *testing.T, which []string, after map[[3]string]evidence.Verdict, blind map[string]bool) {
	t.Helper()
	for place, now := range after {
		was, known := d.account.verdicts[place]
		named := strings.Contains(now.Reason, d.call.Operation) && strings.Contains(now.Reason, d.call.Needs()) &&
			slices.ContainsFunc(now.Gaps, func(g evidence.Gap) bool {
				return g.Operation == d.call.Operation && g.Permission == d.call.Needs()
			})
		switch {
		case now.Status == evidence.Unknown && named:
			blind[now.Check] = true
		case known && now.Status == was.Status && now.Basis == was.Basis:
		case now.Status == evidence.Unknown:
			t.Errorf("%q is unknown and does not name %s and %s: %s", place, d.call.Operation, d.call.Needs(), now.Reason)
		default:
			t.Errorf("%q was %q and is %s although %s is denied: %s", place, was.Status, now.Status, d.call.Operation, now.Reason)
		}
	}
	for place, was := range d.account.verdicts {
		if _, still := after[place]; still || !slices.Contains(which, was.Check) {
			continue
		}
		_, replaced := after[[3]string{was.Check, d.lostIn(was.Region), evidence.Population}]
		if d.call.Field != "" || !replaced {
			t.Errorf("%q was %s and has no verdict, nor has its population", place, was.Status)
		}
	}
}

// lostIn gives the region of the gap that covers a resource's region.
func (d denial) lostIn(region string) string {
	if slices.Contains(d.regions(), region) {
		return region
	}
	return d.regions()[0]
}
