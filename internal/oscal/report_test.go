package oscal

import (
	"bytes"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

func at(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }

func scope() evidence.Scope { return evidence.Scope{Provider: "aws", Account: "012345678901"} }

// nasty is a name that is neither a line nor text of Markdown.
const nasty = " bad\nname\x00 ![x](http://e.example) <b> {{ insert }}\u2028 "

// report is one control for each thing that can be said of a control.
func report() *period.Report {
	full := period.Tally{Due: 30, Sealed: 29, Late: 1}
	control := func(id string, s period.Standing, t period.Tally) period.ControlCoverage {
		return period.ControlCoverage{
			Control: period.Control{
				ID: id, Title: "Title of " + id, Severity: "high", Frequency: "daily", Criteria: []string{"CC6.1", "A1.2"},
				Checks: []period.Check{{ID: "check-" + id, Title: "Check of " + id, Reads: []string{"aws.s3.bucket"}}},
			},
			Occurred: t.Due > 0, Total: t, Standing: s,
		}
	}
	deviated := control("deviated", period.Standing{Pass: 3}, full)
	deviated.Deviations = 5
	spans := control("spans", period.Standing{Pass: 1}, full)
	spans.Streams = []int{0}
	r := &period.Report{
		Window: period.Window{From: at(1, 0), To: at(31, 0), Zone: time.UTC},
		Ledger: "ledger.example/acme", Organization: "Acme", Until: at(30, 6), Records: 99,
		Controls: []period.ControlCoverage{
			control("applies-to-none", period.Standing{NotApplicable: 2}, full),
			control("clean", period.Standing{Pass: 2, NotApplicable: 1}, full),
			deviated,
			control("failing", period.Standing{Fail: 1, Unknown: 1, Pass: 1}, period.Tally{Due: 30, Sealed: 10, Missed: 20}),
			control("holes", period.Standing{Pass: 2}, period.Tally{Due: 30, Sealed: 29, Missed: 1}),
			control("never-due", period.Standing{Pass: 2}, period.Tally{}),
			control("never-judged", period.Standing{}, full),
			spans,
			control("undecided", period.Standing{Pass: 1, Unknown: 1}, full),
			control("undecided-once", period.Standing{Pass: 1}, full),
		},
		Streams:   []period.StreamCoverage{{Stream: evidence.Stream{Collector: "aws.s3_buckets", Scope: scope()}, Total: period.Tally{Due: 30, Sealed: 29, Missed: 1}}},
		Catalogue: evidence.Digest(strings.Repeat("ab", 32)),
		Binaries:  []evidence.Agent{{Version: "1.2.3", Binary: evidence.Digest(strings.Repeat("cd", 32))}, {Version: "1.2.3", Binary: evidence.Digest(strings.Repeat("cd", 32))}},
		Holes: []period.Hole{
			{Stream: evidence.Stream{Collector: "aws.s3_buckets", Scope: scope()}, State: period.Missed, Cause: "agent_down", Slots: 1, First: at(3, 6), Last: at(3, 6), From: new(at(3, 2)), Records: [2]uint64{7, 7}},
			{Stream: evidence.Stream{Collector: "aws.s3_buckets", Scope: scope()}, Cause: period.CauseNotInScope, First: at(1, 0), Last: at(2, 0)},
		},
		Unknowns: []period.Unknown{{
			Control: "undecided-once", Check: "check-undecided-once", Scope: scope(), Kind: "aws.s3.bucket", Resource: evidence.Population,
			Span: period.Span{From: at(4, 0), To: at(6, 0), Looks: 1}, First: at(5, 0), Last: at(5, 0), Reason: "s3:ListBuckets denied", Permission: "s3:ListAllMyBuckets", Class: "denied",
		}},
	}
	for _, end := range []string{period.EndOpen, period.EndPassed, period.EndVanished, period.EndExempt, period.EndLeft} {
		r.Deviations = append(r.Deviations, period.Deviation{
			ID: "d-" + end, Control: "deviated", Check: "check-deviated", Severity: "high", Scope: scope(), Region: "eu-west-1", Kind: "aws.s3.bucket", Resource: end + nasty,
			LastGood: new(at(4, 6)), FirstBad: at(5, 6), LastBad: at(6, 6), End: end, AtLeast: 24 * time.Hour, AtMost: 72 * time.Hour,
			Occurrence: 1, LimitDays: 14, Overdue: period.OverdueNo, Reason: nasty, OpenedBy: 12,
		})
	}
	for _, c := range r.Controls {
		if c.ID == "never-judged" {
			continue
		}
		r.Judgements = append(r.Judgements, period.Judgement{
			Scope: scope(), Check: "check-" + c.ID, Control: c.ID, Record: 90, Evaluated: at(30, 6), Verdicts: evidence.Digest(strings.Repeat("12", 32)),
			Count: evidence.CheckCount{Pass: c.Standing.Pass, Fail: c.Standing.Fail, Unknown: c.Standing.Unknown, NotApplicable: c.Standing.NotApplicable},
		})
	}
	return r
}

// verdicts is what the payload holds: verdicts of all checks.
func verdicts(yield func(evidence.Verdict, error) bool) {
	v := func(check, id string, s evidence.Status, gaps ...evidence.Gap) bool {
		return yield(evidence.Verdict{Check: check, Provider: "aws", Account: "012345678901", Region: "eu-west-1", Kind: "aws.s3.bucket", Resource: id, Status: s, Reason: nasty, Gaps: gaps}, nil)
	}
	gap := evidence.Gap{Operation: "s3:GetBucketEncryption", Permission: "s3:GetEncryptionConfiguration", Class: evidence.Denied, Code: "AccessDenied"}
	_ = v("check-failing", "bucket-bad", evidence.Fail) &&
		v("check-failing", "bucket-dim", evidence.Unknown, gap) &&
		v("check-failing", "bucket-good", evidence.Pass) &&
		v("check-undecided", evidence.Population, evidence.Unknown, gap) &&
		v("check-undecided", "bucket-good", evidence.Pass) &&
		v("check-clean", "bucket-good", evidence.Pass)
}

func input(r *period.Report) Input {
	return Input{Report: r, Verdicts: func(period.Judgement) iter.Seq2[evidence.Verdict, error] { return verdicts }}
}

func written(t *testing.T, in Input) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
