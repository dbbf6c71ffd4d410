package pages_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/pages"
)

// hostile is a resource id that wants to be markup, and to hide.
const hostile = "arn:aws:s3:::x\"><script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe"

// planted is a report over a year with a little of everything. Resources is
// how many buckets there are.
type planted struct {
	in     pages.Input
	report *period.Report
	store  *payload.Store
}

func plant(t testing.TB, resources int) *planted {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	store, err := payload.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cat, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	w := period.Window{From: time.Date(2026, 1, 1, 0, 0, 0, 0, zone), To: time.Date(2027, 1, 1, 0, 0, 0, 0, zone), Zone: zone}
	r := &period.Report{
		Window: w, Days: w.Days(), Ledger: "tallystick.example.com/northwind", Organization: "Northwind <Traders> & Sons",
		Until: w.To.Add(-time.Hour), Records: 4712, Catalogue: cat.Digest(),
		Binaries: []evidence.Agent{{Version: "v0.4.1", Binary: put(t, store, "binary")}, {Version: "v0.5.0"}},
		Changes:  map[string]int{period.ResourceChanged: 1199, period.ChangeParameter: 1},
	}
	p := &planted{report: r, store: store}
	put(t, store, string(cat.JSON()))
	p.streams(t, resources)
	p.controls(cat)
	p.judgements(t, resources)
	p.deviations()
	p.holes()
	p.in = pages.Input{Report: r, Catalogue: cat, Payloads: store, Changes: p.changes}
	return p
}

func put(t testing.TB, s *payload.Store, text string) evidence.Digest {
	t.Helper()
	d, err := s.Put([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p *planted) day(n int) time.Time { return p.report.Days[n].From.Add(6 * time.Hour) }

func line(t testing.TB, b *bytes.Buffer, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(data)
	b.WriteByte('\n')
}

func bucket(n int) string {
	if n == 0 {
		return hostile
	}
	return fmt.Sprintf("arn:aws:s3:::northwind-%05d", n)
}

// buckets is how many of them an account has: one account has the crowd.
func (*planted) buckets(account string, resources int) int {
	if account != "111122223333" {
		return min(resources, 1000)
	}
	return resources
}

func (p *planted) streams(t testing.TB, resources int) {
	t.Helper()
	for _, account := range []string{"111122223333", "444455556666"} {
		for _, collector := range []string{"aws.iam_account", "aws.s3_buckets"} {
			var seen bytes.Buffer
			var entries []capture.Entry
			kind, n := "aws.iam.account", 1
			if collector == "aws.s3_buckets" {
				kind, n = "aws.s3.bucket", p.buckets(account, resources)
			}
			for i := range n {
				id, region := "account", ""
				if kind == "aws.s3.bucket" {
					id, region = bucket(i), "eu-west-1"
				}
				source := fmt.Sprintf("%016x.1", i%120)
				line(t, &seen, evidence.Observation{
					Kind: kind, ID: id, Region: region, Sources: []string{source},
					Body: json.RawMessage(`{"Name":"</pre><script>alert(3)</script>","SummaryMap":{"AccountMFAEnabled":0,"Big":12345678901234567890},"Tags":[]}`),
				})
				if i < 120 {
					entries = append(entries, p.entry(i, source))
				}
			}
			var har bytes.Buffer
			line(t, &har, map[string]any{"log": map[string]any{"version": "1.2", "creator": map[string]string{"name": "test"}, "entries": entries}})
			st := period.StreamCoverage{
				Stream:   evidence.Stream{Collector: collector, Scope: evidence.Scope{Provider: "aws", Account: account}},
				Schedule: "17 6 * * *", Runs: 361, Outcomes: map[string]int{"complete": 355, "partial": 6},
				Newest: &period.Run{
					Record: 4700, Slot: p.day(364), Trigger: evidence.TriggerSchedule, Started: p.day(364), Finished: p.day(364).Add(time.Minute),
					Outcome: evidence.Complete, Principal: "arn:aws:sts::" + account + ":assumed-role/TallystickReader/t",
					Observations: put(t, p.store, seen.String()), Exchanges: []evidence.Digest{put(t, p.store, har.String())},
					Regions: []string{"eu-west-1"}, RegionsLeftOut: []string{"ap-south-1"}, Counts: []evidence.KindCount{{Kind: kind, Region: "eu-west-1", Count: n}},
				},
			}
			st.Total.Add(period.Sealed, 355)
			st.Total.Add(period.Part, 6)
			st.Total.Add(period.Missed, 4)
			p.report.Streams = append(p.report.Streams, st)
		}
	}
	// One that never ran.
	p.report.Streams = append(p.report.Streams, period.StreamCoverage{Stream: evidence.Stream{Collector: "aws.kms_keys", Scope: evidence.Scope{Provider: "aws", Account: "444455556666"}}})
}

func (p *planted) entry(i int, id string) capture.Entry {
	e := capture.Entry{
		ID: id, Service: "iam", Operation: "GetAccountSummary", Region: "us-east-1", RequestID: fmt.Sprintf("req-%d", i), Attempt: 1,
		Started: p.day(364), Time: 41.7,
		Request: capture.Request{
			Method: "POST", URL: "https://iam.amazonaws.com/", HTTPVersion: "HTTP/1.1",
			Headers:  []capture.Pair{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}},
			PostData: &capture.PostData{MimeType: "application/x-www-form-urlencoded", Text: "Action=GetAccountSummary&Version=2010-05-08"},
		},
		Response: capture.Response{
			Status: 200, StatusText: "OK", HTTPVersion: "HTTP/1.1",
			Headers: []capture.Pair{{Name: "Date", Value: "Thu, 31 Dec 2026 05:00:00 GMT"}, {Name: "X-Evil", Value: "<script>alert(4)</script>"}},
			Content: capture.Content{MimeType: "text/xml", Text: "<GetAccountSummaryResponse><script>alert(5)</script></GetAccountSummaryResponse>"},
		},
		Redactions: []capture.Redaction{{Place: "request.headers/Authorization", Rule: "credential"}},
	}
	switch i {
	case 1:
		e.Response.Content = capture.Content{Text: "//4A", Encoding: "base64"}
	case 2:
		e.Response = capture.Response{}
		e.Error = &capture.Failure{Sort: "timeout", Message: "no answer in time"}
	}
	return e
}

// bucketCheck is the check that judges every bucket.
const bucketCheck = "aws-s3-encryption-default"

// neverOccurred is the control that was not due.
const neverOccurred = "net-exposure"

func (p *planted) controls(cat *checks.Catalogue) {
	for n, c := range cat.Controls() {
		cc := period.ControlCoverage{Control: period.Control{ID: c.ID, Title: c.Title, Severity: c.Severity, Frequency: c.Frequency}, Occurred: c.ID != neverOccurred, Streams: []int{0, 1, 2, 3}}
		for _, cr := range c.Criteria {
			cc.Criteria = append(cc.Criteria, cr.ID)
		}
		for _, k := range c.Checks {
			cc.Checks = append(cc.Checks, period.Check{ID: k.ID, Title: k.Title, Provider: k.Provider, Kinds: k.Kinds, Reads: k.Kinds})
		}
		for d := range p.report.Days {
			cell := period.Cell{}
			if cc.Occurred {
				cell.Judged, cell.Pass = true, 12
				switch {
				case d >= 88 && d < 92:
					cell.Add(period.Missed, 4)
				case (d+n)%97 == 5:
					cell.Add(period.Part, 1)
					cell.Add(period.Sealed, 3)
				case d == 200+n:
					cell.Add(period.Late, 4)
				case d == 240 && n%3 == 0:
					cell.Add(period.Failed, 4)
				case d == 364:
					cell.Add(period.Open, 4)
				default:
					cell.Add(period.Sealed, 4)
				}
				if c.ID == "mfa-root" && d >= 120 && d < 128 {
					cell.Fail, cell.FailSeen = 1, true
				}
			}
			cc.Total.Plus(cell.Tally)
			cc.Days = append(cc.Days, cell)
		}
		if cc.Occurred {
			cc.Standing = period.Standing{Pass: 10, Fail: n % 3, Unknown: n % 2, NotApplicable: 1}
		}
		p.report.Controls = append(p.report.Controls, cc)
	}
}

func (p *planted) judgements(t testing.TB, resources int) {
	t.Helper()
	for _, account := range []string{"111122223333", "444455556666"} {
		resources := p.buckets(account, resources)
		var b bytes.Buffer
		of := map[string]*evidence.CheckCount{}
		for _, c := range p.report.Controls {
			for _, k := range c.Checks {
				n, id := 1, "account"
				if k.ID == bucketCheck {
					n = resources
				}
				of[k.ID] = &evidence.CheckCount{Check: k.ID}
				for i := range n {
					v := evidence.Verdict{
						Check: k.ID, Control: c.ID, Provider: "aws", Account: account, Kind: k.Kinds[0], Resource: id,
						Status: evidence.Statuses()[i%4], Reason: "public access block is <b>on</b>",
					}
					if k.Kinds[0] == "aws.s3.bucket" {
						v.Resource, v.Region = bucket(i), "eu-west-1"
					}
					if v.Status == evidence.Pass || v.Status == evidence.Fail {
						v.Basis = evidence.CustomerConfig
					}
					if v.Status == evidence.Unknown {
						v.Gaps = []evidence.Gap{{Kind: v.Kind, Operation: "s3:GetBucketEncryption", Permission: "s3:GetEncryptionConfiguration", Class: evidence.Denied, Code: "AccessDenied"}}
					}
					of[k.ID].Add(v.Status)
					line(t, &b, v)
				}
			}
		}
		d := put(t, p.store, b.String())
		for _, c := range p.report.Controls {
			for _, k := range c.Checks {
				if c.Occurred {
					p.report.Judgements = append(p.report.Judgements, period.Judgement{
						Scope: evidence.Scope{Provider: "aws", Account: account}, Check: k.ID, Control: c.ID, Record: 4701, Evaluated: p.day(364), Verdicts: d, Count: *of[k.ID],
					})
				}
			}
		}
	}
	slices.SortStableFunc(p.report.Judgements, func(a, b period.Judgement) int {
		return bytes.Compare([]byte(a.Control+a.Check), []byte(b.Control+b.Check))
	})
}

func (p *planted) changes() iter.Seq2[period.Change, error] {
	return func(yield func(period.Change, error) bool) {
		for i := range 1200 {
			after := p.day(i % 360)
			c := period.Change{
				What: period.ResourceChanged, At: after.Add(24 * time.Hour), After: &after, Provider: "aws", Account: "111122223333", Region: "eu-west-1",
				Kind: "aws.s3.bucket", Subject: bucket(i), Field: "Versioning.Status", From: `"Suspended"`, To: `"<script>alert(6)</script>"`, Record: uint64(i),
			}
			if i == 7 {
				c = period.Change{What: period.ChangeParameter, At: after, Subject: "aws-iam-key-age", Field: "max_days", From: "90", To: "365", Owner: "ciso", Approver: "board", Reason: "freeze", Record: 9}
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}
