package period

import (
	"bytes"
	"encoding/csv"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

func TestInert(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"": "", "a": "a", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "a=1": "a=1", "é": "é", "'": "'",
	} {
		if got := Inert(cell); got != want {
			t.Errorf("Inert(%q) = %q, want %q", cell, got, want)
		}
	}
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	table := Table{Name: "x", Columns: texts("one", "two"), Rows: rows([][]string{{"a,b", `say "x"`}, {"=cmd", "line\nline"}})}
	for range 2 {
		var b bytes.Buffer
		if err := table.WriteCSV(&b); err != nil {
			t.Fatal(err)
		}
		if want := "one,two\r\n\"a,b\",\"say \"\"x\"\"\"\r\n'=cmd,\"line\r\nline\"\r\n"; b.String() != want {
			t.Errorf("got %q, want %q", b.String(), want)
		}
	}
	broken := errors.New("broken")
	table.Rows = func(yield func([]string, error) bool) { yield(nil, broken) }
	if err := table.WriteCSV(&bytes.Buffer{}); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

// Every table of a lively world is well formed: as many cells as columns, and
// numbers and times where they are said to be.
func TestTables(t *testing.T) {
	t.Parallel()
	w := random(t, 3)
	w.record(evidence.TypeSample, evidence.Sample{
		Header: w.header(at("2026-07-20")), Requested: "=the auditor", Population: "resources", Control: "mfa", From: at("2026-07-03"), To: at("2026-07-04"), Seed: "1", Method: "m", Size: 1, Of: 2,
	})
	r, changes := w.fold(window("2026-07-02", "2026-07-20"), nil)
	if len(r.Samples) != 1 {
		t.Error("there is no sample")
	}
	r.LeftOut = []LeftOut{{
		NotCollected: evidence.NotCollected{Scope: evidence.Scope{Provider: "aws", Account: "1"}, Name: "=sandbox", Excluded: true, Reason: "-", Approver: "@sam"},
		From:         at("2026-07-02"), To: at("2026-07-03"), Record: 7,
	}}
	digits, names := regexp.MustCompile(`^[0-9]*$`), map[string]bool{}
	tables := Tables(r, Sources{Payloads: w.store, Changes: func() iter.Seq2[Change, error] {
		return func(yield func(Change, error) bool) {
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
		}
	}})
	for _, table := range tables {
		if names[table.Name] || table.Title == "" || table.About == "" {
			t.Errorf("table %s: twice, or without words", table.Name)
		}
		names[table.Name] = true
		var b bytes.Buffer
		if err := table.WriteCSV(&b); err != nil {
			t.Fatal(err)
		}
		all, err := csv.NewReader(&b).ReadAll() // it demands as many cells as the header has
		if err != nil {
			t.Fatalf("%s: %v", table.Name, err)
		}
		if len(all) < 2 {
			t.Errorf("table %s is empty", table.Name)
		}
		for _, row := range all[1:] {
			for i, cell := range row {
				if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@") {
					t.Errorf("%s: %q is live", table.Name, cell)
				}
				_, err := time.Parse(time.RFC3339, cell)
				if c := table.Columns[i]; c.Kind == Number && !digits.MatchString(cell) || c.Kind == Time && cell != "" && err != nil {
					t.Errorf("%s: %q is in column %s", table.Name, cell, c.Name)
				}
			}
		}
	}
	for row := range slices.Values(collect(t, tables[0])) {
		if name, ok := strings.CutPrefix(row[3], "tables/"); !ok || !names[strings.TrimSuffix(name, ".csv")] {
			t.Errorf("the request list names %s", row[3])
		}
	}
	// A population is what stood: as many rows as its control says.
	for _, c := range r.Controls {
		n := 0
		for _, check := range c.Checks {
			for _, table := range tables {
				if table.Name == PopulationTable(check.ID) {
					n += len(collect(t, table))
				}
			}
		}
		if s := c.Standing; n != s.Pass+s.Fail+s.Unknown+s.NotApplicable {
			t.Errorf("%s: %d rows of populations, standing %+v", c.ID, n, s)
		}
	}
}

func collect(t testing.TB, table Table) [][]string {
	t.Helper()
	var out [][]string
	for row, err := range table.Rows {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, slices.Clone(row))
	}
	return out
}

// As of a moment it is the newest of everything, whenever it was seen, and
// nothing of what ended or left.
func TestAsOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accounts = []string{one, two}
	w.exprs = map[string]string{users: "0 6 * * *", trails: "@hourly", reports: "0 0 1 1 *", buckets: "0 6 * * *"}
	w.set(one, users, "ann", "", "bad")
	w.set(one, users, "bob", "", "bad")
	w.set(two, users, "eve", "", "bad")
	w.set(one, buckets, "b", "", "good")
	w.set(one, trails, "t", "", "good")
	w.configure(at("2026-06-01"), evidence.EventStarted)
	w.run(users, two, at("2026-06-02 06:00"))
	w.run(buckets, one, at("2026-06-02 06:00"))
	w.accounts = []string{one}
	w.configure(at("2026-06-03"), evidence.EventReloaded)
	w.daily(users, 1, 2)
	w.set(one, users, "bob", "", "good")
	w.run(users, one, at("2026-07-03 06:00:00").Add(time.Millisecond), by(evidence.TriggerCatchUp))
	w.run(trails, one, at("2026-07-03 07:00"))
	w.daily(users, 4, 6)
	w.daily(buckets, 4, 6)

	moment := Window{From: at("2026-07-03"), To: at("2026-07-04"), Zone: time.UTC, AsOf: true}
	chosen := choose(t, w, moment)
	r, changes := w.fold(moment, chosen)
	if len(changes) != 0 {
		t.Errorf("changes: %v", changes)
	}
	wantLines(t, "deviations", r.Deviations, dev, "c-user ann#1 first_look (never | 07-03 06:00:30 | 07-03 06:00:30 | never) open 0s..24h0m0s no")
	for account, want := range map[string]int{one: 1, two: 0} {
		for _, s := range r.Streams {
			if s.Account == account && s.Collector == users && s.Total.Due != want {
				t.Errorf("%s: %s", account, tallied(s.Total))
			}
		}
	}
	w.wantTally("mfa", w.control(r, "mfa").Total, "due 1, sealed 1")
	w.wantTally("store", w.control(r, "store").Total, "due 2, sealed 2")
	w.wantTally("audit", w.control(r, "audit").Total, "due 1, open 1")
	if s := w.control(r, "mfa").Standing; s != (Standing{Pass: 1, Fail: 1}) {
		t.Errorf("standing %+v", s)
	}
	if s := w.control(r, "store").Standing; s != (Standing{Pass: 2}) {
		t.Errorf("standing %+v", s)
	}
	w.wantHoles(r, reports, "t.reports open no_record x1 07-03 00:00:00..07-03 00:00:00")
}

func TestEmptyWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(at("2026-07-01"), evidence.EventStarted)
	f := New(Options{Window: window("2026-07-02", "2026-07-02"), Payloads: w.store})
	if err := f.Take(w.entries[0]); err == nil {
		t.Error("it took a record")
	}
	if _, err := f.Report(at("2026-07-02")); err == nil {
		t.Error("it made a report")
	}
}

func FuzzDecodeCatalogue(f *testing.F) {
	f.Add([]byte(standard()), "mfa")
	f.Add([]byte(`{"controls":[null,{"id":"a","checks":[null,{"kinds":null,"parameters":{"x":1}}]}]}`), "")
	f.Add([]byte(`{"controls":[{"id":"a","checks":[{"id":"c","parameters":{"x":{"override":[]}}}]}]}`), "")
	old, err := decodeCatalogue("old", []byte(standard()), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, only string) {
		var controls []string
		if only != "" {
			controls = []string{only}
		}
		c, err := decodeCatalogue("new", data, controls)
		if err != nil {
			return
		}
		for _, control := range c.controls {
			if only != "" && control.ID != only {
				t.Errorf("it kept %q", control.ID)
			}
			for _, check := range control.Checks {
				if !c.reads(control.ID, check.Reads) && len(check.Reads) > 0 {
					t.Errorf("%q does not read what %q reads", control.ID, check.ID)
				}
			}
		}
		_, _ = catalogueChanges(old, c), catalogueChanges(c, old)
	})
}
