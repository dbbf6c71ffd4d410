package period

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// random makes a world of some days of July 2026 in which everything happens.
func random(t testing.TB, seed uint64) *world {
	t.Helper()
	w := newWorld(t)
	r := rand.New(rand.NewPCG(seed, 1))
	chance := func(percent int) bool { return r.IntN(100) < percent }
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	w.zone = pick("UTC", "Europe/Berlin", "Asia/Kathmandu")
	exprs := func() {
		w.exprs = map[string]string{}
		for _, c := range []string{users, buckets, trails, groups, reports} {
			if chance(80) {
				w.exprs[c] = pick("0 6 * * *", "30 2 * * *", "0 */6 * * *", "15 12 * * 1")
			}
		}
	}
	exprs()
	w.exprs[buckets] = "0 6 * * *"
	now := at("2026-07-01 00:00").Add(time.Duration(r.IntN(86400)) * time.Second)
	alive := now
	w.configure(now, evidence.EventStarted)
	down := time.Time{} // since
	done := map[evidence.Stream]time.Time{}
	since := now
	account := func(s string) {
		for _, collector := range []string{users, buckets, trails, groups, reports} {
			for n := range 4 {
				if chance(4) {
					region := "r1"
					if collector != groups && chance(30) {
						region = ""
					} else if chance(40) {
						region = "r2"
					}
					w.set(s, collector, fmt.Sprintf("x%d%s", n, region), region, pick("good", "good", "good", "bad", "bad", "exempt", "hidden", "blind", "gone", ""), "F", pick("1", `{"a":[1,2]}`, `{"a":[1,3]}`))
				}
			}
			if chance(2) {
				w.deny(s, collector, pick("", "r1"), chance(50))
			}
		}
	}
	settle := func(until time.Time, cause evidence.Cause) {
		for key, expr := range w.schedule().Streams {
			sched, err := schedule.Parse(expr, w.location())
			if err != nil {
				t.Fatal(err)
			}
			var missed []time.Time
			for slot := range sched.Between(max2(done[key], since), until) {
				missed = append(missed, slot)
			}
			if len(missed) > 0 {
				w.missed(key.Collector, key.Account, missed[0], missed[len(missed)-1], cause, alive, until)
				done[key] = missed[len(missed)-1]
			}
		}
	}
	for now.Before(at("2026-07-21")) {
		now = now.Add(time.Duration(1+r.IntN(30)) * time.Minute)
		account(one)
		account(two)
		if !down.IsZero() {
			if chance(2) { // a restart
				settle(now, evidence.CauseAgentDown)
				down, since = time.Time{}, now
				if chance(30) {
					exprs()
				}
				w.configure(now, evidence.EventStarted)
				for key := range w.schedule().Streams {
					if chance(60) {
						w.run(key.Collector, key.Account, now.Add(time.Millisecond), by(evidence.TriggerCatchUp))
					}
				}
			}
			continue
		}
		alive = now
		for key, expr := range w.schedule().Streams {
			sched, _ := schedule.Parse(expr, w.location())
			slot := sched.Next(max2(done[key], since))
			if slot.After(now) {
				continue
			}
			done[key] = slot
			switch {
			case chance(3):
				w.missed(key.Collector, key.Account, slot, slot, evidence.CauseOverlap, slot, now)
			case chance(2): // nothing accounts for it
			default:
				w.run(key.Collector, key.Account, slot, begun(now.Sub(slot)))
			}
		}
		switch {
		case chance(1) && chance(60):
			if chance(50) {
				w.stop(now)
			}
			down = now
		case chance(1) && chance(60):
			settle(now, evidence.CauseFault)
			since = now
			switch r.IntN(7) {
			case 0:
				exprs()
			case 1:
				w.accounts = [][]string{{one}, {two}, {one, two}}[r.IntN(3)]
			case 2:
				w.regions, w.leftOut = []string{"r1", "r2"}, nil
			case 3:
				w.regions, w.leftOut = []string{"r1"}, []string{"r2"}
			case 4:
				w.catalogue = catalogueJSON(controlJSON("mfa", "critical", checkJSON("c-user", "t.user", "", r.IntN(9))), controlJSON("store", "low", checkJSON("c-bucket-trail", "t.bucket", "t.trail", 1)))
			case 5:
				w.catalogue = standard()
			case 6:
				w.limits = map[string]int{"critical": 1 + r.IntN(9)}
			}
			w.configure(now, evidence.EventReloaded)
		case chance(1):
			before := w.accounts
			w.configure(now, evidence.EventManual)
			for key := range w.schedule().Streams {
				if chance(50) {
					w.run(key.Collector, key.Account, now.Add(time.Millisecond), by(evidence.TriggerManual))
				}
			}
			w.accounts = before
		}
	}
	return w
}

// everything renders a report: as JSON and every table.
func everything(t testing.TB, r *Report, changes []Change, store *payload.Store) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(asJSON(t, r.Holes) + "\n" + asJSON(t, r.Controls) + "\n" + asJSON(t, r.Streams) + "\n" + asJSON(t, r.Deviations) + "\n" + asJSON(t, r.Unknowns) + "\n" + asJSON(t, r.Judgements))
	fmt.Fprintf(&b, "\n%v %v %v %v %v %v %v\n", r.Ledger, r.Organization, r.Until, r.Records, r.Changes, r.Catalogue, r.Binaries)
	for _, table := range Tables(r, Sources{Payloads: store, Changes: func() iter.Seq2[Change, error] {
		return func(yield func(Change, error) bool) {
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
		}
	}}) {
		b.WriteString("\n" + table.Name + "\n")
		if err := table.WriteCSV(&b); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func wantSame(t testing.TB, what, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			other := ""
			if i < len(b) {
				other = b[i]
			}
			at := 0
			for at < min(len(a[i]), len(other)) && a[i][at] == other[at] {
				at++
			}
			at = max(0, at-300)
			t.Fatalf("%s: line %d differs from column %d on:\n%.900s\nand\n%.900s", what, i, at, a[i][min(at, len(a[i])):], other[min(at, len(other)):])
		}
	}
	t.Fatalf("%s: differs in length", what)
}

// What an extract shows is what the ledger shows, whichever way verdicts are
// read, and from the payloads alone that it needs.
func TestExtractEqualsLedger(t *testing.T) {
	t.Parallel()
	const seeds = 4
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := random(t, uint64(seed))
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			var deviations, unknowns, changed, holes int
			for range 3 {
				from := at("2026-07-01").Add(time.Duration(r.IntN(14*24*3600)) * time.Second)
				all := Window{From: from, To: from.Add(time.Duration(1+r.IntN(7*24*3600)) * time.Second), Zone: w.location()}
				some := all
				some.Controls = []string{[]string{"audit", "mfa", "net", "store"}[r.IntN(4)]}
				for _, window := range []Window{all, some} {
					chosen := choose(t, w, window)
					whole, changes := w.fold(window, nil)
					deviations, unknowns, changed, holes = deviations+len(whole.Deviations), unknowns+len(whole.Unknowns), changed+len(changes), holes+len(whole.Holes)
					want := everything(t, whole, changes, w.store)
					report, changes := w.fold(window, chosen)
					wantSame(t, fmt.Sprint("the extract of ", window), want, everything(t, report, changes, w.store))
					report, changes = w.fold(window, nil, func(f *Fold) { f.tracker.plain = true })
					wantSame(t, fmt.Sprint("with every verdict read, ", window), want, everything(t, report, changes, w.store))

					full := w.store
					w.store = needed(t, w, window, chosen)
					report, changes = w.fold(window, chosen)
					wantSame(t, fmt.Sprint("of the payloads that are needed, ", window), want, everything(t, report, changes, w.store))
					w.store = full
				}
			}
			t.Logf("%d records, %d deviations, %d unknowns, %d changes, %d holes", len(w.entries), deviations, unknowns, changed, holes)
			if deviations == 0 || changed == 0 || holes == 0 {
				t.Error("nothing happened in this world")
			}
		})
	}
}

func choose(t testing.TB, w *world, window Window) []uint64 {
	t.Helper()
	c := NewChooser(window)
	for _, e := range w.entries {
		c.Take(e)
	}
	return c.Indexes()
}

// needed copies the payloads that an extract holds into another store.
func needed(t testing.TB, w *world, window Window, chosen []uint64) *payload.Store {
	t.Helper()
	f := New(Options{Window: window, Payloads: w.store})
	for _, e := range w.entries {
		if err := f.Take(e); err != nil {
			t.Fatal(err)
		}
	}
	store := newStore(t)
	for _, e := range w.entries {
		if !slices.Contains(chosen, e.Index) || !f.Needs(e) {
			continue
		}
		for _, s := range e.Statement.Subject {
			data, err := w.store.ReadAll(evidence.Digest(s.Digest["sha256"]), 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Put(data); err != nil {
				t.Fatal(err)
			}
		}
	}
	return store
}
