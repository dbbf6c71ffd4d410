package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

func wantLines(t *testing.T, p *Population, want ...string) {
	t.Helper()
	if !slices.Equal(p.Lines, want) {
		t.Errorf("the population is\n%s\nwant\n%s", strings.Join(p.Lines, "\n"), strings.Join(want, "\n"))
	}
}

// estate is two accounts over three days: buckets that appear, and a list
// whose end can not be read on the last day.
func estate(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.configure("2026-07-01T00:30:00Z", one, two)
	w.judge(w.buckets(one, "2026-07-01T06:00:00Z", evidence.TriggerSchedule, nil, bucket("b"), bucket("a")), evidence.Fail, "a", "b")
	w.judge(w.buckets(two, "2026-07-01T06:00:00Z", evidence.TriggerSchedule, nil, bucket("=cmd")), evidence.Pass, "=cmd")
	gap := evidence.Gap{Kind: "aws.s3.bucket", Region: "eu-west-1", Resource: "hidden", Operation: "s3:GetBucketLocation", Class: evidence.Denied}
	w.judge(w.buckets(one, "2026-07-02T06:00:00Z", evidence.TriggerSchedule, []evidence.Gap{gap}, bucket("a"), bucket("b"), bucket("c")), evidence.Pass, "a", "b", "c", "hidden")
	w.buckets(one, "2026-07-02T20:00:00.001Z", evidence.TriggerManual, []evidence.Gap{gap}, bucket("a"), bucket("c"))
	list := evidence.Gap{Kind: "aws.s3.bucket", Operation: "s3:ListBuckets", Permission: "s3:ListAllMyBuckets", Class: evidence.Denied, Code: "AccessDenied"}
	w.judge(w.buckets(one, "2026-07-03T06:00:00Z", evidence.TriggerSchedule, []evidence.Gap{list}, bucket("a")), evidence.Unknown, evidence.Population)
	return w
}

func TestResourcesOfKind(t *testing.T) {
	w := estate(t)
	of := func(date string) Definition {
		return Definition{Population: Resources, Kind: "aws.s3.bucket", Date: date}
	}
	p := w.freeze(of("2026-07-01"))
	wantLines(t, p,
		"aws,111122223333,eu-west-1,aws.s3.bucket,a,yes,aws.s3_buckets,2026-07-01T06:00:00Z,1",
		"aws,111122223333,eu-west-1,aws.s3.bucket,b,yes,aws.s3_buckets,2026-07-01T06:00:00Z,1",
		"aws,444455556666,eu-west-1,aws.s3.bucket,'=cmd,yes,aws.s3_buckets,2026-07-01T06:00:00Z,3")
	if len(p.Incomplete) > 0 || len(p.Notes) > 0 || p.Ledger != "sample.test" || p.Definition.TimeZone != "UTC" {
		t.Errorf("incomplete %q, notes %q, ledger %q, zone %q", p.Incomplete, p.Notes, p.Ledger, p.Definition.TimeZone)
	}
	// The newest run of the day counts, whoever asked for it; what it knows of
	// and could not read is in the population too.
	p = w.freeze(of("2026-07-02"))
	wantLines(t, p,
		"aws,111122223333,eu-west-1,aws.s3.bucket,a,yes,aws.s3_buckets,2026-07-02T20:00:00.001Z,7",
		"aws,111122223333,eu-west-1,aws.s3.bucket,c,yes,aws.s3_buckets,2026-07-02T20:00:00.001Z,7",
		"aws,111122223333,eu-west-1,aws.s3.bucket,hidden,no,aws.s3_buckets,2026-07-02T20:00:00.001Z,7",
		"aws,444455556666,eu-west-1,aws.s3.bucket,'=cmd,yes,aws.s3_buckets,2026-07-01T06:00:00Z,3")
	if len(p.Incomplete) > 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "before 2026-07-02") {
		t.Errorf("incomplete %q, notes %q", p.Incomplete, p.Notes)
	}
	// A list that was not read to its end.
	p = w.freeze(of("2026-07-03"))
	if len(p.Lines) != 2 || len(p.Incomplete) != 1 || !strings.Contains(p.Incomplete[0], "s3:ListBuckets denied (AccessDenied), needs s3:ListAllMyBuckets (record 8)") {
		t.Errorf("%d items, incomplete %q", len(p.Lines), p.Incomplete)
	}
	choice := Choice{Seed: "7", Method: Random, Size: 1}
	if _, err := Draw(p, choice, "", false); !errorAs[*IncompleteError](err) {
		t.Errorf("an incomplete population gives %v", err)
	}
	if d, err := Draw(p, choice, "", true); err != nil || len(d.Places) != 1 {
		t.Errorf("with incomplete: %v", err)
	}

	// Runs before the first day do not count: account two was not looked at.
	d := of("2026-07-02")
	d.First = "2026-07-02"
	if p = w.freeze(d); len(p.Lines) != 3 || len(p.Incomplete) != 1 || !strings.Contains(p.Incomplete[0], "aws.s3_buckets@aws/444455556666 was not run") {
		t.Errorf("%d items, incomplete %q", len(p.Lines), p.Incomplete)
	}
	w.wantError(of("2026-07-04"), "nothing was recorded on 2026-07-04 or later")
	w.wantError(of("2026-06-30"), "is not a day of the period")
	w.wantError(of("2026-07-11"), "is not a day of the period")
	w.wantError(of("yesterday"), "not a calendar date")
	w.wantError(Definition{Population: Resources, Kind: "aws.rds.instance", Date: "2026-07-01"}, "no collector that was scheduled on 2026-07-01 supplies aws.rds.instance")
	w.wantError(Definition{Population: Resources, Date: "2026-07-01"}, "name one of them")
	w.wantError(Definition{Population: "both"}, "there is no population")
	_, err := Freeze(t.Context(), w.source(), Definition{Population: Resources, Kind: "aws.iam.user", Date: "2026-07-01"})
	if e, ok := errors.AsType[*IncompleteError](err); !ok || !e.Empty || len(e.Reasons) != 2 {
		t.Errorf("what was never run gives %v", err)
	}
}

func errorAs[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// An account that was taken out is of no concern any more; an empty list that
// was read to its end is empty, and not a gap.
func TestScopesAndEmptyLists(t *testing.T) {
	w := estate(t)
	w.configure("2026-07-04T00:30:00Z", one)
	w.buckets(one, "2026-07-04T06:00:00Z", evidence.TriggerSchedule, nil)
	d := Definition{Population: Resources, Kind: "aws.s3.bucket", Date: "2026-07-04"}
	_, err := Freeze(t.Context(), w.source(), d)
	if err == nil || errorAs[*IncompleteError](err) || !strings.Contains(err.Error(), "there was nothing") {
		t.Errorf("an empty account gives %v", err)
	}
	d.Date = "2026-07-01" // what was in scope then
	if p := w.freeze(d); len(p.Lines) != 3 {
		t.Errorf("%d items on the first day, want 3", len(p.Lines))
	}
}

func TestResourcesOfCheck(t *testing.T) {
	w := estate(t)
	of := func(date string) Definition {
		return Definition{Population: Resources, Check: "bucket-good", Date: date}
	}
	// The assessment of the second day judged four; one of them was not read.
	p := w.freeze(of("2026-07-02"))
	wantLines(t, p,
		"aws,111122223333,eu-west-1,aws.s3.bucket,a,yes,aws.s3_buckets,2026-07-02T06:00:00Z,5",
		"aws,111122223333,eu-west-1,aws.s3.bucket,b,yes,aws.s3_buckets,2026-07-02T06:00:00Z,5",
		"aws,111122223333,eu-west-1,aws.s3.bucket,c,yes,aws.s3_buckets,2026-07-02T06:00:00Z,5",
		"aws,111122223333,eu-west-1,aws.s3.bucket,hidden,no,aws.s3_buckets,2026-07-02T06:00:00Z,5",
		"aws,444455556666,eu-west-1,aws.s3.bucket,'=cmd,yes,aws.s3_buckets,2026-07-01T06:00:00Z,3")
	if p = w.freeze(of("2026-07-03")); len(p.Incomplete) != 1 || len(p.Lines) != 1 {
		t.Errorf("on the third day: incomplete %q, items %q", p.Incomplete, p.Lines)
	}
	w.wantError(Definition{Population: Resources, Check: "no-such", Date: "2026-07-01"}, "was not in the catalogue")
	w.wantError(Definition{Population: Resources, Check: "user-good", Date: "2026-07-01"}, "was not judged in aws/111122223333")
}

func TestSlots(t *testing.T) {
	w := newWorld(t)
	w.configure("2026-07-01T00:30:00Z", one)
	w.buckets(one, "2026-07-01T06:00:00Z", evidence.TriggerSchedule, nil, bucket("a"))
	w.buckets(one, "2026-07-01T20:00:00.001Z", evidence.TriggerManual, nil, bucket("a")) // covers no slot
	w.missed("2026-07-02T06:00:00Z", "2026-07-03T06:00:00Z", 2)
	w.buckets(one, "2026-07-05T06:00:00Z", evidence.TriggerSchedule, []evidence.Gap{{Kind: "aws.s3.bucket", Class: evidence.Denied}})
	w.entries[4].Predicate.(*evidence.Run).Started = at("2026-07-05T06:01:00Z")
	late := w.buckets(one, "2026-07-06T06:00:00Z", evidence.TriggerSchedule, nil, bucket("a"))
	w.entries[late].Predicate.(*evidence.Run).Started = at("2026-07-06T06:20:00Z")

	want := []string{
		"aws,111122223333,aws.s3_buckets,2026-07-01T06:00:00Z,sealed,1,",
		"aws,111122223333,aws.s3_buckets,2026-07-02T06:00:00Z,missed,3,agent_down",
		"aws,111122223333,aws.s3_buckets,2026-07-03T06:00:00Z,missed,3,agent_down",
		"aws,111122223333,aws.s3_buckets,2026-07-04T06:00:00Z,open,,",
		"aws,111122223333,aws.s3_buckets,2026-07-05T06:00:00Z,partial,4,",
		"aws,111122223333,aws.s3_buckets,2026-07-06T06:00:00Z,late,5,",
	}
	p := w.freeze(Definition{Population: Slots, Collector: "aws.s3_buckets", Last: "2026-07-06"})
	wantLines(t, p, want...)
	if len(p.Incomplete) > 0 || !p.To.Equal(at("2026-07-07T00:00:00Z")) {
		t.Errorf("incomplete %q, to %s", p.Incomplete, p.To)
	}
	p = w.freeze(Definition{Population: Slots, Control: "storage", First: "2026-07-03", Last: "2026-07-05"})
	wantLines(t, p, want[2:5]...)
	p = w.freeze(Definition{Population: Slots, Collector: "aws.s3_buckets"}) // the whole period
	if wantLines(t, p, want...); len(p.Incomplete) != 1 || !strings.Contains(p.Incomplete[0], "4 slots up to 2026-07-11") {
		t.Errorf("incomplete %q", p.Incomplete)
	}
	w.wantError(Definition{Population: Slots, Collector: "aws.nothing"}, "names aws.nothing")
	w.wantError(Definition{Population: Slots, Control: "nothing"}, "names nothing")
	w.wantError(Definition{Population: Slots, Collector: "aws.s3_buckets", First: "2026-07-05", Last: "2026-07-04"}, "before the first")

	d, err := Draw(p, Choice{Method: All}, "", true)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := d.Write(t.Context(), dir, "test"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"001-aws.s3_buckets-20260701T060000Z/observations.jsonl": `"<a>"`,
		"001-aws.s3_buckets-20260701T060000Z/exchanges-0001.har": "body of a",
		"001-aws.s3_buckets-20260701T060000Z/record.json":        `"record": 1`,
		"002-aws.s3_buckets-20260702T060000Z/record.json":        `agent_down`,
		"005-aws.s3_buckets-20260705T060000Z/gaps.jsonl":         "denied",
	} {
		if got := readFile(t, dir, name); !strings.Contains(got, want) && !strings.Contains(got, strings.ReplaceAll(want, "<a>", `\u003ca\u003e`)) {
			t.Errorf("%s holds %s, not %s", name, got, want)
		}
	}
	if list, err := os.ReadDir(filepath.Join(dir, "004-aws.s3_buckets-20260704T060000Z")); err != nil || len(list) != 0 {
		t.Errorf("a slot without a record has %v (%v)", list, err)
	}
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPull draws everything and looks at what is in the folders.
func TestPull(t *testing.T) {
	w := estate(t)
	evil := bucket("../../etc/passwd\n,\"=x")
	hung := bucket(strings.Repeat("long", 40))
	w.judge(w.buckets(two, "2026-07-02T06:00:00Z", evidence.TriggerSchedule, nil, evil, hung), evidence.Fail, evil.ID)
	p := w.freeze(Definition{Population: Resources, Kind: "aws.s3.bucket", Date: "2026-07-02"})
	if len(p.Lines) != 5 || strings.Count(string(p.Data), "\n") != 6 {
		t.Fatalf("population:\n%s", p.Data)
	}
	d, err := Draw(p, Choice{Method: All}, "Jo Doe, CC6.1 <all>", false)
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), dir, "test"); err != nil {
		t.Fatal(err)
	}
	if list, err := os.ReadDir(parent); err != nil || len(list) != 1 {
		t.Errorf("it wrote outside of its folder: %v (%v)", list, err)
	}
	var doc Document
	if err := json.Unmarshal([]byte(readFile(t, dir, "sample.json")), &doc); err != nil {
		t.Fatal(err)
	}
	if readFile(t, dir, "population.csv") != string(p.Data) || doc.Population.SHA256 != p.Digest || doc.Requested != "Jo Doe, CC6.1 <all>" || !doc.Population.Complete {
		t.Errorf("sample.json is %+v", doc)
	}
	folders := map[string]string{} // by resource
	for i, c := range doc.Chosen {
		if c.Line != p.Lines[c.Place-1] || c.Number != i+1 || !filepath.IsLocal(c.Folder) || strings.Contains(c.Folder, "/") || len(c.Folder) > 70 {
			t.Errorf("chosen %+v", c)
		}
		folders[p.items[c.Place-1].id] = c.Folder
	}
	if doc.Records["7"] != "run aws.s3_buckets@aws/111122223333@2026-07-02T20:00:00.001Z" || len(doc.Records) != 2 {
		t.Errorf("records: %v", doc.Records)
	}

	for _, id := range []string{"a", "c", evil.ID, hung.ID} {
		var o evidence.Observation
		if err := json.Unmarshal([]byte(readFile(t, dir, folders[id], "observation.json")), &o); err != nil || o.ID != id {
			t.Errorf("the observation of %q is of %q (%v)", id, o.ID, err)
		}
		f, err := os.Open(filepath.Join(dir, folders[id], "exchanges.har"))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for e, err := range capture.Read(f) {
			if err != nil {
				t.Fatalf("exchanges of %q: %v", id, err)
			}
			ids = append(ids, e.ID)
			if body, err := e.Response.Body(); err != nil || e.ID != "list.1" && string(body) != "body of "+id {
				t.Errorf("the exchange %s of %q says %s (%v)", e.ID, id, body, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if slices.Sort(ids); !slices.Equal(ids, []string{"list.1", "of-" + id + ".1"}) {
			t.Errorf("the exchanges of %q are %q", id, ids)
		}
	}
	if text := readFile(t, dir, folders["a"], "exchanges.har"); !json.Valid([]byte(text)) || !strings.Contains(text, "out of those of record 7 of the ledger sample.test") {
		t.Errorf("exchanges.har is %s", text)
	}
	if _, err := os.Stat(filepath.Join(dir, folders["hidden"], "observation.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was not read has an observation: %v", err)
	}
	// The newest assessment by then is that of the slot, of record 5.
	for id, want := range map[string]string{"a": "as of record 5", "hidden": "as of record 5", evil.ID: "as of record 10"} {
		var list []struct {
			Record  uint64
			Verdict evidence.Verdict
		}
		if err := json.Unmarshal([]byte(readFile(t, dir, folders[id], "verdicts.json")), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Verdict.Reason != want || list[0].Verdict.Resource != id {
			t.Errorf("the verdicts on %q are %+v, want one %s", id, list, want)
		}
	}
	if r := d.Record(); r.Of != 5 || r.Size != 5 || r.Frozen != p.Digest || !r.From.Equal(at("2026-07-02T00:00:00Z")) || !r.To.Equal(at("2026-07-03T00:00:00Z")) {
		t.Errorf("the record is %+v", r)
	}
}

// What a bundle is about bounds what can be drawn from it.
func TestBundleBounds(t *testing.T) {
	w := estate(t)
	of := func(date string) Definition {
		return Definition{Population: Resources, Kind: "aws.s3.bucket", Date: date}
	}
	period := w.source()
	period.From, period.To = at("2026-07-02T00:00:00Z"), at("2026-07-02T12:00:00Z") // made at noon
	moment := w.source()
	moment.From, moment.To, moment.AsOf = at("2026-07-02T00:00:00Z"), at("2026-07-03T00:00:00Z"), true
	slots := Definition{Population: Slots, Collector: "aws.s3_buckets"}
	for _, test := range []struct {
		name string
		src  Source
		d    Definition
		want string // items and missing, or an error
	}{
		{"the last day, cut", period, of("2026-07-02"), "4 1"},
		{"the day before", period, of("2026-07-01"), "not a day of the period"},
		{"slots", period, slots, "2 0"},
		{"slots of more days", period, Definition{Population: Slots, Collector: "aws.s3_buckets", First: "2026-07-01"}, "only"},
		{"slots of the last day", period, Definition{Population: Slots, Collector: "aws.s3_buckets", Last: "2026-07-02"}, "2 0"},
		{"one moment", moment, of("2026-07-02"), "4 0"},
		{"another moment", moment, of("2026-07-01"), "what stood at 2026-07-03"},
		{"slots of a moment", moment, slots, "of one moment"},
	} {
		got := ""
		p, err := Freeze(t.Context(), test.src, test.d)
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprint(len(p.Lines), len(p.Incomplete))
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// An exchange that an observation names and nobody has is an error.
func TestPullMissingExchange(t *testing.T) {
	w := newWorld(t)
	w.configure("2026-07-01T00:30:00Z", one)
	b := bucket("a")
	b.Sources = append(b.Sources, "gone.1")
	w.buckets(one, "2026-07-01T06:00:00Z", evidence.TriggerSchedule, nil, b)
	d, err := Draw(w.freeze(Definition{Population: Resources, Kind: "aws.s3.bucket", Date: "2026-07-01"}), Choice{Method: All}, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), t.TempDir(), "test"); err == nil || !strings.Contains(err.Error(), "gone.1") {
		t.Errorf("error %v", err)
	}
}
