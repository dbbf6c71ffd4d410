package pages_test

import (
	"fmt"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// deviations plants one of each sort and a crowd, so that the pages turn.
func (p *planted) deviations() {
	scope := evidence.Scope{Provider: "aws", Account: "111122223333"}
	at := func(day int, plus time.Duration) *time.Time { t := p.day(day).Add(plus); return &t }
	p.report.Deviations = []period.Deviation{
		{
			ID: "dev-root", Control: "mfa-root", Check: "aws-iam-root-mfa", Severity: "critical", Scope: scope, Kind: "aws.iam.account", Resource: "account",
			LastGood: at(119, 0), FirstBad: *at(120, 0), LastBad: *at(123, 4*time.Hour), FirstGood: at(124, 5*time.Hour), End: period.EndPassed,
			AtLeast: 76 * time.Hour, AtMost: 121*time.Hour + time.Second, Occurrence: 2, LimitDays: 7, Overdue: period.OverdueNo,
			Reason: "the root user has no MFA device, but it has credentials", OpenedBy: 1604, ClosedBy: 1660,
		},
		{
			ID: "dev/with:odd id", Control: "mfa-root", Check: "aws-iam-root-mfa", Severity: "critical", Scope: evidence.Scope{Provider: "aws", Account: "444455556666"}, Kind: "aws.iam.account", Resource: "account",
			FirstBad: *at(10, 0), LastBad: *at(10, 0), FirstGood: at(11, 0), End: period.EndVanished, AtMost: 11 * 24 * time.Hour, Occurrence: 1, Overdue: period.OverdueNo, Reason: "r", OpenedBy: 12, ClosedBy: 14,
		},
	}
	for i := range 600 {
		first := i % 300
		d := period.Deviation{
			ID: fmt.Sprintf("%08x", i), Control: "enc-rest-object-storage", Check: "aws-s3-encryption-default", Severity: "high", Scope: scope,
			Region: "eu-west-1", Kind: "aws.s3.bucket", Resource: bucket(i), FirstBad: *at(first, 0), LastBad: *at(first+i%40, 0),
			LastGood: at(max(0, first-1-i%5), 0), FirstGood: at(first+i%40+1+i%7, 0), End: period.EndPassed,
			AtLeast: time.Duration(i%40) * 24 * time.Hour, AtMost: time.Duration(i%40+2+i%5+i%7) * 24 * time.Hour,
			Occurrence: 1, LimitDays: 30, Overdue: period.OverdueNo, Reason: "no default encryption <b>", OpenedBy: uint64(1000 + i),
		}
		if i == 3 {
			d.Check = "aws-s3-check-of-old" // the newest catalogue does not have it any more
		}
		if i == 4 {
			d.Control = "control-of-old"
		}
		switch {
		case d.AtLeast > 30*24*time.Hour:
			d.Overdue = period.OverdueYes
		case d.AtMost > 30*24*time.Hour:
			d.Overdue = period.OverduePerhaps
		}
		if i%50 == 0 {
			d.Unknown, d.Unseen = 24*time.Hour, []period.Span{{From: *at(first+1, 0), To: *at(first+2, 0), Looks: 1}}
		}
		if i == 599 {
			d.FirstGood, d.End, d.ClosedBy = nil, period.EndOpen, 0
		}
		p.report.Deviations = append(p.report.Deviations, d)
	}
	for i := range p.report.Controls {
		for _, d := range p.report.Deviations {
			if c := &p.report.Controls[i]; d.Control == c.ID {
				c.Deviations++
				if d.Overdue == period.OverdueYes {
					c.Overdue++
				}
			}
		}
	}
}

func (p *planted) holes() {
	stream := p.report.Streams[1].Stream
	from, to := p.day(88), p.day(92)
	p.report.Holes = []period.Hole{
		{Stream: stream, State: period.Missed, Cause: string(evidence.CauseAgentDown), Slots: 4, First: from, Last: to, From: &from, To: &to, Detail: "the host was replaced", Records: [2]uint64{1201, 1201}},
		{
			Stream: stream, State: period.Part, Cause: string(evidence.Denied), Slots: 3, First: p.day(5), Last: p.day(8), Kinds: []string{"aws.s3.bucket"},
			Operation: "s3:GetBucketEncryption", Permission: "s3:GetEncryptionConfiguration", Code: "AccessDenied", Gaps: 36, Records: [2]uint64{40, 61},
		},
		{Stream: stream, State: period.Late, Cause: period.CauseLate, Slots: 1, First: p.day(200), Last: p.day(200), To: &to, Records: [2]uint64{2800, 2800}},
		{Stream: p.report.Streams[4].Stream, Cause: period.CauseCollector, First: p.report.Window.From, Last: p.report.Window.To, Records: [2]uint64{1, 1}},
		{Stream: evidence.Stream{Scope: evidence.Scope{Provider: "gcp"}}, Cause: period.CauseNotSupplied, First: p.report.Window.From, Last: p.report.Window.To, Kinds: []string{"aws.kms.key"}, Detail: "read by aws-kms-rotation"},
	}
	p.report.Unknowns = []period.Unknown{
		{
			Control: "mfa-root", Check: "aws-iam-root-mfa", Scope: stream.Scope, Kind: "aws.iam.account", Resource: evidence.Population,
			Span: period.Span{From: p.day(4), To: p.day(9), Looks: 4}, First: p.day(5), Last: p.day(8), Reason: "iam:GetAccountSummary denied (AccessDenied), needs iam:GetAccountSummary", Permission: "iam:GetAccountSummary", Class: "denied",
		},
		{Control: "mfa-root", Check: "aws-iam-root-mfa", Scope: stream.Scope, Kind: "aws.iam.account", Resource: hostile, Span: period.Span{From: p.day(300), To: p.report.Window.To, Looks: 64}, Reason: "timed out", Open: true},
	}
}
