package aws_test

import (
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// controls loads some controls of the catalogue, which is quicker than all.
func controls(t *testing.T, ids ...string) *checks.Catalogue {
	t.Helper()
	files := fstest.MapFS{}
	for _, id := range ids {
		data, err := fs.ReadFile(catalogue.FS(), id+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		files[id+".yaml"] = &fstest.MapFile{Data: data}
	}
	rules, err := checks.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// optIn is the network of an account that has opted in to one region and not
// to another.
// Source: EC2 API reference, DescribeRegions: AllRegions, OptInStatus.
type optIn struct {
	mu     sync.Mutex
	called map[string]int // by region, other than to find the regions
}

func (o *optIn) RoundTrip(req *http.Request) (*http.Response, error) {
	const account = "111122223333"
	l := aws.Describe(req)
	switch l.Operation {
	case "sts:GetCallerIdentity":
		return capture.Respond(req, http.StatusOK, "text/xml",
			"<R><GetCallerIdentityResult><Arn>arn:aws:iam::"+account+":user/reader</Arn><Account>"+account+"</Account></GetCallerIdentityResult></R>"), nil
	case "ec2:DescribeRegions":
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		item := func(name, status string) string {
			return "<item><regionName>" + name + "</regionName><optInStatus>" + status + "</optInStatus></item>"
		}
		list := item("us-east-1", "opt-in-not-required") + item("ap-east-1", "opted-in") + item("eu-west-1", "opt-in-not-required")
		if form.Get("AllRegions") == "true" {
			list += item("me-south-1", "not-opted-in")
		}
		return capture.Respond(req, http.StatusOK, "text/xml", "<R><regionInfo>"+list+"</regionInfo></R>"), nil
	}
	o.mu.Lock()
	o.called[l.Region]++
	o.mu.Unlock()
	if l.Service == "guardduty" {
		return capture.Respond(req, http.StatusOK, "application/json", `{"detectorIds":[]}`), nil
	}
	return capture.Respond(req, http.StatusOK, "text/xml", "<R><volumeSet/></R>"), nil
}

// TestEnabledRegions looks at every region that the account has enabled, and
// at no other. A region of the configuration that is not enabled is a gap.
func TestEnabledRegions(t *testing.T) {
	tests := []struct {
		name, collector           string
		configured                []string
		looked, leftOut, disabled []string
	}{
		{"all", "aws.ec2_volumes", nil, []string{"ap-east-1", "eu-west-1", "us-east-1"}, nil, nil},
		{"some", "aws.ec2_volumes", []string{"us-east-1", "ap-east-1"}, []string{"ap-east-1", "us-east-1"}, []string{"eu-west-1"}, nil},
		{
			"one that is not enabled", "aws.guardduty_detectors",
			[]string{"us-east-1", "me-south-1"},
			[]string{"us-east-1"},
			[]string{"ap-east-1", "eu-west-1"},
			[]string{"me-south-1"},
		},
	}
	rules := controls(t, "detect-threats")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEstate(t, aws.Settings{Accounts: []aws.Account{{ID: "111122223333"}}, Regions: tt.configured, Credentials: static})
			c := named(t, e, tt.collector)
			network := &optIn{called: map[string]int{}}
			got, _ := collect(t, c, "111122223333", network)
			same(t, "looked at", got.regions, tt.looked)
			same(t, "left out", got.leftOut, tt.leftOut)
			same(t, "called", slices.Sorted(maps.Keys(network.called)), tt.looked)
			var want []evidence.Gap
			for _, kind := range slices.Sorted(slices.Values(c.Spec().Kinds)) {
				for _, region := range tt.disabled {
					want = append(want, evidence.Gap{
						Kind: kind, Region: region, Operation: "ec2:DescribeRegions", Class: evidence.Disabled,
						Message: "region " + region + " is configured but not enabled in account 111122223333",
					})
				}
				for _, region := range tt.looked {
					if !got.listed[kind+"@"+region] {
						t.Errorf("the list of %s in %s has no end", kind, region)
					}
				}
			}
			if !slices.Equal(got.gaps, want) {
				t.Errorf("gaps %+v, want %+v", got.gaps, want)
			}
			if len(tt.disabled) == 0 {
				return
			}
			in := alone("111122223333", c.Spec(), got)
			verdicts := map[string]evidence.Verdict{}
			if err := rules.Evaluate(t.Context(), in, []string{"aws-guardduty-enabled"}, func(v evidence.Verdict) error {
				verdicts[v.Region] = v
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if v := verdicts["us-east-1"]; v.Status != evidence.Fail {
				t.Errorf("us-east-1, which has no detector, is %s: %s", v.Status, v.Reason)
			}
			if v := verdicts["me-south-1"]; v.Status != evidence.Unknown || !strings.Contains(v.Reason, "ec2:DescribeRegions disabled") {
				t.Errorf("me-south-1, which is not enabled, is %q: %s", v.Status, v.Reason)
			}
		})
	}
}

// closed refuses everything in one region, in the words of AWS.
// Source: IAM user guide, "Access denied error messages".
func closed(t *testing.T, region, because string) intercept {
	t.Helper()
	return func(req *http.Request, l capture.Labels) (*http.Response, error) {
		if l.Region != region {
			return nil, nil
		}
		r, known := refusals()[l.Service]
		if !known {
			t.Errorf("add the protocol of %s to refusals", l.Service)
		}
		resp := r.answer(req, r.denied)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		said := strings.Replace(string(body), "refused by the test",
			"User: arn:aws:sts::111122223333:assumed-role/TallystickReader/tallystick is not authorized to perform: "+l.Operation+because, 1)
		again := capture.Respond(req, resp.StatusCode, resp.Header.Get("Content-Type"), said)
		maps.Copy(again.Header, resp.Header)
		again.Header.Del("Content-Length")
		return again, nil
	}
}

// TestClosedRegion closes one region of two by a policy of the organisation:
// what is there is unknown, and the reason is the policy, not a permission that
// somebody forgot. The other region is judged as ever.
func TestClosedRegion(t *testing.T) {
	const id, shut, open = "111122223333", "eu-west-1", "us-east-1"
	rules := controls(t, "log-network", "enc-rest-block-storage", "detect-threats", "enc-rest-database", "key-management")
	e := estate(t)
	tests := []struct{ collector, check, because, policy string }{
		{"aws.ec2_vpcs", "aws-vpc-flow-logs", " with an explicit deny in a service control policy", "service control policy"},
		{"aws.ec2_volumes", "aws-ebs-volume-encrypted", " because no service control policy allows the ec2:DescribeVolumes action", "service control policy"},
		{"aws.guardduty_detectors", "aws-guardduty-enabled", " with an explicit deny in a service control policy: arn:aws:organizations::999988887777:policy/o-exampleorg1/service_control_policy/p-regions1", "service control policy"},
		{"aws.rds_instances", "aws-rds-instance-encrypted", " because no service control policy allows the rds:DescribeDBInstances action", "service control policy"},
		{"aws.kms_keys", "aws-kms-rotation", " with an explicit deny in a service control policy", "service control policy"},
		{"aws.rds_instances", "aws-rds-instance-encrypted", " because no identity-based policy allows the rds:DescribeDBInstances action", ""},
	}
	for _, tt := range tests {
		t.Run(tt.collector+tt.because, func(t *testing.T) {
			read := readBy(rules, aws.Catalogue(e), tt.check)
			before := account{id: id, seen: map[string]*seen{}}
			for _, c := range read {
				before.seen[c.Spec().Name], _ = replay(t, c, id, nil)
			}
			was := before.judged(t, rules, read, "", nil, []string{tt.check})

			c := named(t, e, tt.collector)
			got, _ := replay(t, c, id, closed(t, shut, tt.because))
			same(t, "looked at", got.regions, []string{shut, open})
			closedAlone(t, c.Spec(), got, before.seen[tt.collector], shut, open, tt.policy)

			const phrase = "which a service control policy refuses"
			places := map[string]int{}
			for place, v := range before.judged(t, rules, read, tt.collector, got, []string{tt.check}) {
				places[v.Region]++
				switch {
				case v.Region == open && (v.Status != was[place].Status || v.Reason != was[place].Reason):
					t.Errorf("%s %s was %s and is %s: %s", v.Region, v.Resource, was[place].Status, v.Status, v.Reason)
				case v.Region == shut && (v.Status != evidence.Unknown || strings.Contains(v.Reason, phrase) != (tt.policy != "")):
					t.Errorf("%s %s is %s: %s", v.Region, v.Resource, v.Status, v.Reason)
				}
			}
			if places[shut] == 0 || places[open] == 0 {
				t.Errorf("verdicts by region %v, want some in both", places)
			}
		})
	}
}

// readBy gives the collectors that a check reads.
func readBy(rules *checks.Catalogue, all []collectors.Collector, check string) (read []collectors.Collector) {
	for _, c := range all {
		if slices.ContainsFunc(rules.Reads(check), func(r checks.Read) bool { return slices.Contains(c.Spec().Kinds, r.Kind) }) {
			read = append(read, c)
		}
	}
	return read
}

// closedAlone demands gaps in the closed region alone, and in the open one what
// was seen before.
func closedAlone(t *testing.T, spec collectors.Spec, got, before *seen, shut, open, policy string) {
	t.Helper()
	if len(got.gaps) == 0 {
		t.Fatal("no gaps")
	}
	for _, g := range got.gaps {
		if g.Region != shut || g.Class != evidence.Denied || g.Policy != policy || g.Permission == "" {
			t.Errorf("the gap is %+v, want one in %s, denied, by policy %q", g, shut, policy)
		}
	}
	in := func(s *seen) (ids []string) {
		for _, o := range s.observations {
			if o.Region == open {
				ids = append(ids, o.Kind+" "+o.ID+" "+string(o.Body))
			}
		}
		return ids
	}
	same(t, "observed in "+open, in(got), in(before))
	for _, kind := range spec.Kinds {
		if !got.listed[kind+"@"+open] {
			t.Errorf("the list of %s in %s has no end", kind, open)
		}
	}
}
